import pytest
from playwright.sync_api import expect

from tests.page.desk import Desk
from tests.page.repository import SEER
from tests.pictures import png

pytestmark = pytest.mark.page


def test_the_whole_journey_needs_no_mouse(desk: Desk) -> None:
    keys = desk.page.keyboard
    desk.drop(*((f"{seed}.png", png(seed)) for seed in range(5)))
    desk.wait_for(answered=5)
    tab_to(desk, "#model")
    keys.type("seer")
    desk.wait_for(answered=5)
    names = desk.names
    tab_to(desk, "#list li")
    keys.press("ArrowDown")
    expect_opened(desk, names[0])
    keys.press("ArrowDown")
    keys.press("ArrowDown")
    expect_opened(desk, names[2])
    keys.press("ArrowUp")
    expect_opened(desk, names[1])
    keys.press("End")
    expect_opened(desk, names[-1])
    assert focused(desk, "#list li") == "true"


def test_space_hides_the_overlay_and_shows_it_again(desk: Desk) -> None:
    desk.page.locator("#model").select_option(SEER)
    desk.drop(("a.png", png(1)))
    overlay = desk.page.locator("#overlay")
    expect(overlay).to_be_visible()
    for pressed in ("false", "true"):
        desk.page.keyboard.press("Space")
        expect(overlay).to_have_attribute("aria-pressed", pressed)


def test_enter_goes_to_the_picture_where_signs_zoom_and_escape_comes_back(desk: Desk) -> None:
    keys = desk.page.keyboard
    desk.drop(("a.png", png(1)), ("b.png", png(2)))
    desk.wait_for(answered=2)
    tab_to(desk, "#list li")
    keys.press("ArrowDown")
    keys.press("Enter")
    expect(desk.page.locator("#stage")).to_be_focused()
    keys.press("+")
    expect(desk.page.locator("#zoom")).to_have_text("125 %")
    keys.press("0")
    expect(desk.page.locator("#zoom")).to_have_text("100 %")
    keys.press("Escape")
    expect(desk.page.locator("#viewer")).to_be_hidden()
    expect(desk.page.locator("#list li").first).to_be_focused()


def test_letters_do_nothing_where_they_are_not_expected(desk: Desk) -> None:
    desk.drop(("a.png", png(1)))
    desk.wait_for(answered=1)
    desk.page.locator("#show-card").focus()
    desk.page.keyboard.press("+")
    expect(desk.page.locator("#zoom")).to_have_text("100 %")


def test_the_focus_stays_in_the_list_while_answers_reorder_it(desk: Desk) -> None:
    desk.drop(*((f"{seed}.png", png(seed)) for seed in range(30)))
    desk.page.locator("#list li").first.click()
    opened = desk.page.locator("#opened-name")
    expect(opened).not_to_be_empty()
    name = opened.inner_text()
    desk.wait_for(answered=30)
    expect(desk.row(name)).to_be_focused()


def tab_to(desk: Desk, selector: str) -> None:
    """Press Tab until something that fits has the focus."""
    for _ in range(40):
        if focused(desk, selector) == "true":
            return
        desk.page.keyboard.press("Tab")
    pytest.fail(f"Tab never reached {selector}")


def focused(desk: Desk, selector: str) -> str:
    return str(desk.page.evaluate("selector => String(document.activeElement.matches(selector))", selector))


def expect_opened(desk: Desk, name: str) -> None:
    expect(desk.page.locator("#opened-name")).to_have_text(name)
