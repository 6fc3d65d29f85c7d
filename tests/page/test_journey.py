import csv
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.page.desk import CLASS, Desk
from tests.page.repository import BINARY, PLAIN, SEER
from tests.pictures import draw, encode, png

pytestmark = pytest.mark.page


def test_fifty_slices_and_a_broken_file_become_a_sorted_worklist(
    desk: Desk, slices: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    desk.choose(*slices[:25], broken, *slices[25:50])
    desk.wait_for(answered=50, failed=1)
    texts = desk.page.locator("#list .label span").all_text_contents()
    tumors = [float(number) for text in texts for number in re.findall(r"[\d.]+", text)]
    assert tumors == sorted(tumors, reverse=True)
    assert len(tumors) == 50
    assert desk.names[-1] == "broken.png"
    expect(desk.row("broken.png")).to_contain_text("Not a PNG, JPEG, BMP, TIFF or WebP picture")


def test_every_answer_shows_bars_for_all_classes_timing_model_and_version(desk: Desk) -> None:
    desk.drop(("a.png", png(1)))
    desk.wait_for(answered=1)
    row = desk.row("a.png")
    assert [each.inner_text().removeprefix("▸ ") for each in row.locator(".bars th").all()] == [
        "glioma", "meningioma", "no tumor", "pituitary",
    ]  # fmt: skip
    shares = [float(each.inner_text().strip("<>% ")) for each in row.locator(".number").all()]
    assert sum(shares) == pytest.approx(100, abs=0.3)
    assert re.search(r"plain v1 · [\d.]+ ms", row.inner_text())
    expect(desk.page.locator("#opened-name")).to_have_text("a.png")


def test_a_model_switch_answers_everything_again_and_two_models_are_compared(desk: Desk) -> None:
    desk.drop(*((f"{seed}.png", png(seed)) for seed in range(12)))
    desk.wait_for(answered=12)
    plain = desk.labels()
    desk.page.locator("#model").select_option(SEER)
    desk.wait_for(answered=12)
    seer = desk.labels()
    assert plain != seer
    desk.page.locator("#other").select_option(PLAIN)
    desk.wait_for(answered=24)
    different = {name for name in plain if plain[name] != seer[name]}
    desk.page.get_by_role("button", name="models differ").click()
    assert set(desk.names) == different
    assert desk.row(min(different)).locator(".bars").count() == 2


def test_a_model_of_two_classes_shows_two_bars(desk: Desk) -> None:
    desk.drop(("a.png", png(1)))
    desk.page.locator("#model").select_option(BINARY)
    desk.wait_for(answered=1)
    assert desk.row("a.png").locator(".bars tr").count() == 2
    expect(desk.page.locator("#filters")).to_contain_text("lesion")
    expect(desk.page.locator("#filters")).not_to_contain_text("glioma")


def test_a_filter_that_hides_everything_is_still_shown_as_chosen(desk: Desk) -> None:
    desk.drop(("a.png", png(1)))
    desk.wait_for(answered=1)
    desk.page.locator(f'[data-filter^="{CLASS}g"]').click()
    desk.page.locator("#model").select_option(BINARY)
    expect(desk.page.locator("#filters")).to_contain_text("lesion")
    expect(desk.page.locator('#filters [aria-pressed="true"]')).to_have_text("glioma 0")
    expect(desk.page.locator("#nothing")).to_be_visible()


def test_the_list_is_filtered_by_class_and_exported_as_shown(desk: Desk) -> None:
    desk.drop(*((f"{seed}.png", png(seed)) for seed in range(12)), ("=cmd,1.png", b"no picture"))
    desk.wait_for(answered=12, failed=1)
    label = desk.labels()["0.png"].replace(" ", "_")
    desk.page.locator(f'[data-filter="{CLASS}{label}"]').click()
    shown = desk.names
    assert 0 < len(shown) < 12
    with desk.page.expect_download() as saved:
        desk.page.get_by_role("button", name="Save JSON").click()
    body = json.loads(saved.value.path().read_text())
    assert [entry["file"] for entry in body["entries"]] == shown
    assert {entry["answer"]["label"] for entry in body["entries"]} == {label}
    assert "not a diagnosis" in body["note"]


def test_the_csv_holds_every_number_and_every_problem_and_no_formula(desk: Desk) -> None:
    desk.drop(("a.png", png(1)), ("=cmd,1.png", b"no picture"))
    desk.wait_for(answered=1, failed=1)
    with desk.page.expect_download() as saved:
        desk.page.get_by_role("button", name="Save CSV").click()
    with saved.value.path().open(newline="") as lines:
        good, bad = csv.DictReader(lines)
    assert sum(float(good[name]) for name in good if name.startswith("p_")) == pytest.approx(1)
    assert (good["model"], good["version"], len(good["sha256"])) == ("plain", "1", 64)
    assert (bad["file"], bad["state"]) == ("'=cmd,1.png", "failed")
    assert bad["problem"] == "urn:neurotriage:problem:not-an-image"


def test_the_card_is_a_click_away_and_a_broken_version_says_why(desk: Desk) -> None:
    desk.page.get_by_role("button", name="Model card").click()
    card = desk.page.locator("#card")
    expect(card).to_contain_text("knows nothing")
    expect(card).to_contain_text("0.900 [0.850, 0.950]")
    desk.page.locator("#card-model").select_option("plain/2")
    expect(card).to_contain_text("Does not serve")
    expect(card).to_contain_text("checksum")
    assert desk.page.locator('#model option[value="plain/2"]').is_disabled()


def test_a_file_name_is_never_taken_for_markup(desk: Desk) -> None:
    name = "<img src=x onerror=alert(1)>.png"
    desk.drop((name, png(1)))
    desk.wait_for(answered=1)
    assert desk.names == [name]
    assert desk.page.locator("img").count() == 0


def test_a_pasted_picture_is_answered(desk: Desk) -> None:
    desk.paste(("image.png", png(1)))
    desk.wait_for(answered=1)


def test_what_a_browser_cannot_show_is_named_and_answered_all_the_same(desk: Desk) -> None:
    desk.drop(("a.tif", encode(draw(1), "TIFF")), ("a.png", png(1)))
    desk.wait_for(answered=2)
    expect(desk.row("a.tif")).to_contain_text("TIFF")
    desk.row("a.tif").click()
    expect(desk.page.locator("#no-picture")).to_contain_text("Browsers do not show TIFF")
    assert desk.row("a.tif").locator(".bars").inner_text() == desk.row("a.png").locator(".bars").inner_text()
