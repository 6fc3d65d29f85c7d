import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import Server
from tests.page.desk import Desk

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
