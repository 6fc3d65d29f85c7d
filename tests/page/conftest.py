"""A browser, a service with every kind of model, and pictures to drop."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.conftest import SHARED
from tests.e2e.conftest import ROOT, Server, start
from tests.page.browser import ADVICE, find, launched
from tests.page.desk import Desk
from tests.page.repository import write_repository
from tests.pictures import png

SCREENSHOTS = ROOT / "runs" / "page"
"""Where every test leaves what was to be seen at its end."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    if not find():
        pytest.skip(ADVICE)
    with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service of four bundles, one of which is broken."""
    folder = tmp_path_factory.mktemp("server")
    write_repository(folder / "models")
    server = start(folder, folder / "models", default_model="plain")
    yield server
    assert server.stop() == 0


@pytest.fixture
def desk(browser: Browser, server: Server, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """The page opened, 1280 pixels wide; nothing may have gone wrong in it by the end."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    desk = Desk(page)
    desk.visit(server.url)
    yield desk
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{request.node.name}.png")
    page.close()
    assert desk.faults == []


@pytest.fixture(scope="session")
def slices(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two hundred slices: real ones where the data are, else drawn ones."""
    if (SHARED / "data" / "index.csv").exists():
        return real_slices(200)
    folder = tmp_path_factory.mktemp("slices")
    for seed in range(200):
        (folder / f"slice-{seed:03}.png").write_bytes(png(seed))
    return sorted(folder.iterdir())


def real_slices(count: int) -> list[Path]:
    """Test slices of every class, well mixed."""
    with (SHARED / "data" / "index.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["dataset"] in ("figshare", "br35h") and row["fold"] == "5"]
    rows.sort(key=lambda row: row["sha256"])
    return [SHARED / "data" / row["path"] for row in rows[:count]]
