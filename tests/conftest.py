"""Fixtures that every test may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.bundles import write_bundle

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def _clean_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """No `.env` of the person who runs the tests reaches the service tests."""
    if "service" in request.path.parts:
        monkeypatch.chdir(tmp_path)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A repository with one tiny model."""
    root = tmp_path / "models"
    write_bundle(root)
    return root


@pytest.fixture
def settings(models: Path) -> Settings:
    """Settings that serve the tiny model on the CPU."""
    return Settings(models=models, provider="cpu")


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A client of the running app."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data; the test is skipped where they are absent."""
    if not (SHARED / "data" / "index.csv").exists():
        pytest.skip("../shared/data is absent")
    return SHARED / "data"
