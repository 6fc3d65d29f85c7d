from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import Server
from tests.page.desk import Desk
from tests.pictures import png

pytestmark = pytest.mark.page


def test_swagger_ui_works_under_a_policy_of_its_own(browser: Browser, server: Server) -> None:
    page = browser.new_page()
    desk = Desk(page)
    answer = page.goto(f"{server.url}/docs")
    assert answer
    assert "script-src 'self' 'sha256-" in answer.headers["content-security-policy"]
    expect(page.locator("#swagger-ui")).to_contain_text("/predict/batch")
    page.close()
    assert desk.faults == []


def test_an_overlay_that_was_asked_for_there_is_shown(browser: Browser, server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(1))
    page = browser.new_page()
    desk = Desk(page)
    page.goto(f"{server.url}/docs")
    route = page.locator("#operations-explain-explain_explain_post")
    route.locator(".opblock-summary-control").click()
    route.get_by_role("button", name="Try it out").click()
    route.locator('tr[data-param-name="model"] input[type="text"]').fill("seer")
    route.locator('input[type="file"]').set_input_files(tmp_path / "a.png")
    route.locator(".responses-wrapper select.content-type").first.select_option("image/png")
    route.get_by_role("button", name="Execute").click()
    shown = route.locator('img[src^="blob:"]')
    expect(shown).to_be_visible()
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.close()
    assert desk.faults == []
