"""`python -m tests.page.screenshots`: draw the README's pictures again, from slices that may be shown.

figshare's slices (Cheng, doi 10.6084/m9.figshare.1512427) are CC BY 4.0; those of other sources come without a licence.
"""

import sys
import tempfile
from pathlib import Path

import httpx2
from playwright.sync_api import expect

from tests.conftest import SHARED
from tests.e2e.conftest import ROOT, Server, start
from tests.page.browser import launched
from tests.page.desk import Desk

DOCS = ROOT / "docs"
FIGSHARE = SHARED / "data" / "figshare"
SLICES = tuple(
    FIGSHARE / name
    for name in (
        "meningioma/67.jpg", "glioma/1871.jpg", "glioma/2279.jpg", "glioma/2985.jpg", "meningioma/133.jpg",
        "meningioma/393.jpg", "pituitary/1344.jpg", "pituitary/1636.jpg",
    )
)  # fmt: skip
"""Of the test fold, each class; the first is shown large and explained."""


def main() -> int:
    """Draw both; without a model that explains, the page alone."""
    DOCS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        server = start(Path(folder), ROOT / "models")
        try:
            draw_page(server)
            told = draw_overlay(server)
        finally:
            server.stop()
    print(told, file=sys.stderr)  # noqa: T201 - read by whoever draws
    return 0


def draw_page(server: Server) -> None:
    """The worklist with its first slice opened."""
    with launched() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="dark")
        desk = Desk(page)
        desk.visit(server.url)
        desk.choose(*SLICES)
        desk.wait_for(answered=len(SLICES))
        desk.row(SLICES[0].name).click()
        expect(page.locator("#stage canvas").first).to_be_visible()
        expect(page.locator("#evidence")).not_to_contain_text("Asking")
        expect(page.locator("#evidence")).not_to_be_empty()
        page.locator("#list").evaluate("list => list.scrollTo(0, 0)")
        page.wait_for_timeout(500)  # bars glide to their place
        page.screenshot(path=DOCS / "page.png")


def draw_overlay(server: Server) -> str:
    """The default model's map of the first slice, where it can draw one; what was done."""
    headers = {"Accept": "image/png"}
    answer = httpx2.post(f"{server.url}/explain", content=SLICES[0].read_bytes(), headers=headers, timeout=60)
    if answer.status_code == 409:
        return "page.png is drawn; no overlay, since the default model does not explain"
    answer.raise_for_status()
    (DOCS / "overlay.png").write_bytes(answer.content)
    return f"page.png and overlay.png are drawn, the latter for {answer.headers['x-neurotriage-target']}"


if __name__ == "__main__":
    sys.exit(main())
