from pathlib import Path

import pytest

from service.app import session_opener
from service.repository import Repository
from service.settings import Settings

MODELS = Path(__file__).resolve().parents[2] / "models"
LIMIT = 25_000_000


def test_every_committed_bundle_serves() -> None:
    repository = Repository(MODELS, session_opener(Settings(provider="cpu")))
    repository.load()
    assert repository.bundles
    assert [(bundle.name, bundle.version, bundle.reason) for bundle in repository.bundles if not bundle.session] == []


def test_there_is_no_python_among_the_models() -> None:
    assert list(MODELS.rglob("*.py")) == []


@pytest.mark.parametrize("path", sorted(path for path in MODELS.rglob("*") if path.is_file()), ids=str)
def test_every_file_is_small_enough_for_git(path: Path) -> None:
    assert path.stat().st_size < LIMIT
