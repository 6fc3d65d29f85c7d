import re
from importlib.resources import files

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import Server
from tests.page.conftest import SCREENSHOTS
from tests.page.desk import Desk
from tests.page.repository import PLAIN, SEER
from tests.pictures import draw, encode, png

pytestmark = pytest.mark.page

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
AUDIT = """async rules => {
    const { violations } = await axe.run({ runOnly: { type: "tag", values: rules } });
    const told = nodes => nodes.map(node => node.html + node.failureSummary).join(" | ");
    return violations.map(({ id, nodes }) => `${id}: ${told(nodes)}`);
}"""
SIZES = ((360, 740), (1280, 800), (2560, 1440))


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_no_state_of_the_page_violates_axe_or_leaves_its_width(
    browser: Browser, server: Server, width: int, height: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]  # dark or light
    desk = Desk(page)
    desk.visit(server.url)
    page.evaluate(AXE)
    name = f"{width}-{scheme}"
    audit(desk, f"{name}-empty")
    desk.drop(
        *((f"{seed}.png", png(seed)) for seed in range(6)), ("b.tif", encode(draw(9), "TIFF")), ("c", b"no picture")
    )
    desk.wait_for(answered=7, failed=1)
    audit(desk, f"{name}-list")
    page.locator("#model").select_option(SEER)
    page.locator("#other").select_option(PLAIN)
    desk.wait_for(answered=14, failed=2)
    desk.row("0.png").click()
    expect(page.locator("#evidence")).to_contain_text("from pool")
    audit(desk, f"{name}-opened")
    for opener, dialog in (("#show-card", "card-dialog"), ("[data-opens]", "keys-dialog")):
        page.locator(opener).click()
        audit(desk, f"{name}-{dialog}")
        page.keyboard.press("Escape")
    page.evaluate("document.getElementById('key-dialog').showModal()")
    audit(desk, f"{name}-key-dialog")
    page.close()
    assert desk.faults == []


def audit(desk: Desk, name: str) -> None:
    """No violation, nothing to scroll sideways; what was to be seen is kept."""
    page = desk.page
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate(AUDIT, RULES) == []


def test_what_happens_is_told_without_being_seen(desk: Desk) -> None:
    desk.drop(("a.png", png(1)), ("c", b"no picture"))
    desk.wait_for(answered=1, failed=1)
    expect(desk.page.locator("#spoken")).to_have_text("1 of 2 answered, 1 failed")
    label = desk.labels()["a.png"]
    expect(desk.row("a.png")).to_have_attribute("aria-label", re.compile(f"a.png: {label} .*, tumour .*%"))
    expect(desk.page.get_by_role("option", name="c: Failed.")).to_have_count(1)


def test_the_standing_line_stands_even_after_scrolling_on_a_phone(browser: Browser, server: Server) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    desk = Desk(page)
    desk.visit(server.url)
    desk.drop(*((f"{seed}.png", png(seed)) for seed in range(12)))
    desk.wait_for(answered=12)
    page.locator("#list li").last.scroll_into_view_if_needed()
    standing = page.locator("#standing")
    expect(standing).to_be_in_viewport()
    expect(standing).to_have_text("Research and triage support, not a diagnosis.")
    page.close()


def test_the_theme_is_the_systems_until_it_is_chosen(desk: Desk) -> None:
    grounds = []
    for scheme in ("dark", "light"):
        desk.page.emulate_media(color_scheme=scheme)
        grounds.append(ground(desk))
    desk.page.locator("#theme").click()
    assert grounds[0] != grounds[1]
    assert ground(desk) == grounds[0]


def ground(desk: Desk) -> str:
    return str(desk.page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
