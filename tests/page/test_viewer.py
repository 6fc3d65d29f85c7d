from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.page.desk import Desk
from tests.page.repository import PLAIN, SEER
from tests.pictures import deep, draw, encode, png

pytestmark = pytest.mark.page

MIDDLE = (0.5, 0.5)
ATTEMPTS = 100


@pytest.fixture
def opened(desk: Desk) -> Desk:
    """One drawn slice opened, explained by a model that can."""
    desk.page.locator("#model").select_option(SEER)
    desk.drop(("a.png", png(1)))
    desk.wait_for(answered=1)
    expect(desk.page.locator("#evidence")).to_contain_text("from pool")
    return desk


def test_a_map_is_shown_beside_the_picture_with_its_peak_and_box_in_words(opened: Desk) -> None:
    show_evidence(opened)
    expect(opened.page.locator("#stage figcaption")).to_have_count(2)
    expect(opened.page.locator("#evidence")).to_contain_text("not where a tumour ends")
    opened.page.locator("#marks").uncheck()
    eventually(opened, lambda: is_grey(opened.pixel(0)))
    place = colored_place(opened, pane=1)
    opened.page.locator("#overlay").click()
    eventually(opened, lambda: is_grey(opened.pixel(1, *place)))


def test_opacity_blends_between_picture_and_map(opened: Desk) -> None:
    show_evidence(opened)
    opened.page.locator("#marks").uncheck()
    opened.page.get_by_label("Blended").check()
    expect(opened.page.locator("#stage canvas")).to_have_count(1)
    place = colored_place(opened, pane=0)
    opened.page.locator("#opacity").fill("0")
    eventually(opened, lambda: is_grey(opened.pixel(0, *place)))


def test_class_method_and_layer_are_chosen_from_the_card(opened: Desk) -> None:
    page = opened.page
    assert page.locator("#target option").all_text_contents() == [
        "predicted class", "glioma", "meningioma", "no tumor", "pituitary",
    ]  # fmt: skip
    page.locator("#target").select_option("pituitary")
    page.locator("#method").select_option("eigencam")
    page.locator("#layer").select_option("conv")
    expect(page.locator("#evidence")).to_contain_text("pituitary")
    expect(page.locator("#evidence")).to_contain_text("EigenCAM from conv")


def test_a_model_without_maps_says_so_and_shows_no_chooser(desk: Desk) -> None:
    desk.drop(("a.png", png(1)))
    expect(desk.page.locator("#evidence")).to_contain_text("plain version 1 predicts but does not explain")
    expect(desk.page.locator("#wishes")).to_be_hidden()
    expect(desk.page.locator("#map-tools")).to_be_hidden()


def test_two_models_are_seen_side_by_side_and_the_one_without_maps_says_so(opened: Desk) -> None:
    opened.page.locator("#other").select_option(PLAIN)
    expect(opened.page.locator("#answers .bars")).to_have_count(2)
    expect(opened.page.locator("#evidence")).to_contain_text("from pool")
    expect(opened.page.locator("#evidence")).to_contain_text("plain version 1 predicts but does not explain")


def test_dragging_sets_the_window_and_a_double_click_takes_it_back(opened: Desk) -> None:
    before = opened.pixel(0, *MIDDLE)
    drag(opened, dx=0, dy=80)
    eventually(opened, lambda: opened.pixel(0, *MIDDLE)[0] < before[0])
    expect(opened.page.locator("#level-now")).to_have_text("188")
    opened.page.locator("#stage canvas").first.dblclick()
    eventually(opened, lambda: opened.pixel(0, *MIDDLE) == before)


def test_the_wheel_zooms_and_panning_moves_the_picture(opened: Desk) -> None:
    opened.page.locator("#stage canvas").first.hover()
    opened.page.mouse.wheel(0, -800)
    eventually(opened, lambda: int(opened.page.locator("#zoom").inner_text().strip(" %")) > 200)
    settle(opened)
    edge = opened.pixel(0, 0.98, 0.5)
    opened.page.get_by_label("Pan").check()
    drag(opened, dx=-300, dy=0)
    eventually(opened, lambda: opened.pixel(0, 0.98, 0.5) != edge)


@pytest.mark.parametrize("kind", ["tiff", "deep"])
def test_the_services_own_picture_stands_in_where_the_browser_has_none(desk: Desk, kind: str) -> None:
    grey = np.asarray(draw(1))
    content = encode(draw(1), "TIFF") if kind == "tiff" else encode(deep(grey.astype(np.uint16) * 16))
    desk.page.locator("#model").select_option(SEER)
    desk.drop((f"a.{kind}", content))
    expect(desk.page.locator("#stage canvas")).not_to_have_count(0)
    expect(desk.page.locator("#no-picture")).to_be_hidden()
    eventually(desk, lambda: desk.pixel(0, *MIDDLE)[0] > 60)


def show_evidence(desk: Desk) -> None:
    """Explain a class that something in the picture speaks for."""
    for name in ("glioma", "meningioma", "no_tumor", "pituitary"):
        desk.page.locator("#target").select_option(name)
        expect(desk.page.locator("#evidence")).to_contain_text(f"for {name.replace('_', ' ')}")
        if "Its peak" in (desk.page.locator("#evidence").text_content() or ""):
            return
    pytest.fail("nothing in the picture speaks for any class")


def colored_place(desk: Desk, pane: int) -> tuple[float, float]:
    """A place of the pane where the map shows."""
    shares = [step / 20 for step in range(1, 20)]
    found: list[tuple[float, float]] = []

    def look() -> bool:
        found.extend((x, y) for y in shares for x in shares if not is_grey(desk.pixel(pane, x, y)))
        return bool(found)

    eventually(desk, look)
    return found[0]


def is_grey(pixel: list[int]) -> bool:
    return max(pixel) - min(pixel) <= 2


def drag(desk: Desk, dx: int, dy: int) -> None:
    box = desk.page.locator("#stage canvas").first.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    desk.page.mouse.move(x, y)
    desk.page.mouse.down()
    desk.page.mouse.move(x + dx, y + dy, steps=4)
    desk.page.mouse.up()
    settle(desk)


def eventually(desk: Desk, holds: Callable[[], bool]) -> None:
    """Wait until what was asked for is drawn, however busy the machine is."""
    for _ in range(ATTEMPTS):
        settle(desk)
        if holds():
            return
        desk.page.wait_for_timeout(50)
    pytest.fail("what was asked for was never drawn")


def settle(desk: Desk) -> None:
    """Let two frames pass, so that what was asked for is drawn."""
    desk.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
