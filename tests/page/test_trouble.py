import base64
import json
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.e2e.conftest import start
from tests.page.desk import Desk
from tests.page.repository import write_repository
from tests.pictures import png

pytestmark = pytest.mark.page

KEY = "correct horse"
DROPPED = [(f"{seed}.png", png(seed)) for seed in range(20)]


DROP_FOLDERS = """content => {
    const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
    const file = name => ({ name, isFile: true, file: found => found(new File([bytes], name)) });
    const gone = name => ({ name, isFile: true, file: (_, fail) => fail(new DOMException("", "NotFoundError")) });
    const folder = (name, portions, broken) => ({ name, isDirectory: true, createReader: () => ({
        readEntries: (found, fail) => portions.length || !broken ? found(portions.shift() ?? [])
            : fail(new DOMException("", "NotReadableError")),
    }) });
    const drop = new Event("drop", { bubbles: true, cancelable: true });
    const entries = [
        folder("whole", [[file("a.png"), gone("moved.png"), folder("locked", [], true)]]),
        folder("<b>half</b>", [[file("b.png")]], true),
    ];
    const items = entries.map(entry => ({ webkitGetAsEntry: () => entry }));
    drop.dataTransfer = { types: ["Files"], files: [], items };
    document.dispatchEvent(drop);
}"""


def refuse(route: Route, status: int, title: str, detail: str, **headers: str) -> None:
    """Answer as the service does when it refuses."""
    problem = {"type": "urn:neurotriage:problem:test", "title": title, "status": status, "detail": detail}
    route.fulfill(status=status, body=json.dumps(problem), headers=headers, content_type="application/problem+json")


def test_a_restart_in_between_loses_nothing(browser: Browser, tmp_path: Path) -> None:
    write_repository(tmp_path / "models")
    server = start(tmp_path, tmp_path / "models", default_model="plain")
    page = browser.new_page()
    desk = Desk(page)
    desk.visit(server.url)
    desk.drop(*DROPPED[:2])
    desk.wait_for(answered=2)
    assert server.stop() == 0
    desk.drop(*DROPPED[2:])
    expect(page.locator("#notice")).to_contain_text("The service does not answer")
    server = start(tmp_path, tmp_path / "models", port=server.port, default_model="plain")
    desk.wait_for(answered=20)
    expect(page.locator("#notice")).to_be_hidden()
    page.close()
    assert server.stop() == 0
    assert desk.faults == []


def test_a_full_queue_is_asked_again_when_it_said(desk: Desk) -> None:
    asked: list[float] = []

    def overload_once(route: Route) -> None:
        asked.append(time.monotonic())
        if len(asked) > 1:
            return route.continue_()
        return refuse(route, 503, "The queue is full", "128 slices are waiting already", **{"Retry-After": "1"})

    desk.page.route("**/predict*", overload_once)
    desk.drop(("a.png", png(1)))
    expect(desk.row("a.png")).to_contain_text("128 slices are waiting already Asking again in")
    desk.wait_for(answered=1)
    assert asked[1] - asked[0] >= 1


def test_a_key_is_asked_for_once_and_sent_with_everything(desk: Desk) -> None:
    def guard(route: Route) -> None:
        if route.request.headers.get("x-api-key") == KEY:
            route.continue_()
        else:
            refuse(route, 401, "No access", "Send a key as X-API-Key")

    page = desk.page
    page.route("**/predict*", guard)
    desk.drop(*DROPPED)
    expect(page.locator("#key-problem")).to_contain_text("Send a key as X-API-Key")
    page.get_by_label("Key", exact=True).fill("wrong")
    page.get_by_role("button", name="Use this key").click()
    expect(page.locator("#key-problem")).to_contain_text("The last key was refused")
    page.get_by_label("Key", exact=True).fill(KEY)
    page.keyboard.press("Enter")
    desk.wait_for(answered=20)
    assert page.evaluate("() => [localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


def test_without_a_key_everything_fails_in_the_services_words_until_one_is_entered(desk: Desk) -> None:
    page = desk.page
    page.route("**/predict*", lambda route: refuse(route, 401, "No access", "Send a key as X-API-Key"))
    desk.drop(*DROPPED)
    page.get_by_role("button", name="Not now").click()
    desk.wait_for(answered=0, failed=20)
    expect(desk.row("1.png")).to_contain_text("No access: Send a key as X-API-Key")
    page.unroute("**/predict*")
    page.get_by_role("button", name="Access key").click()
    page.get_by_label("Key", exact=True).fill(KEY)
    page.keyboard.press("Enter")
    desk.wait_for(answered=20)


def test_a_proxy_that_answers_in_its_own_way_is_named_by_its_status(desk: Desk) -> None:
    desk.page.route("**/predict*", lambda route: route.fulfill(status=502, body="<html>", content_type="text/html"))
    desk.drop(("a.png", png(1)))
    desk.wait_for(answered=0, failed=1)
    expect(desk.row("a.png")).to_contain_text("The service answered 502")
    desk.page.unroute("**/predict*")
    desk.page.get_by_role("button", name="Ask failed again").click()
    desk.wait_for(answered=1)


def test_no_model_at_all_is_said(desk: Desk) -> None:
    desk.page.route("**/models", lambda route: route.fulfill(json={"default": None, "models": []}))
    desk.page.reload()
    expect(desk.page.locator("#notice")).to_contain_text("No model serves here")


def test_what_cannot_be_read_of_a_drop_is_named_and_the_rest_is_answered(desk: Desk) -> None:
    desk.page.evaluate(DROP_FOLDERS, base64.b64encode(png(1)).decode())
    desk.wait_for(answered=2)
    assert sorted(desk.names) == ["a.png", "b.png"]
    unread = desk.page.locator("#unread")
    expect(unread).to_have_text("Could not be read: <b>half</b>, moved.png, locked.")
    desk.drop(("c.png", png(3)))
    expect(unread).to_be_hidden()


def test_slices_that_were_removed_keep_no_place_from_those_that_came(desk: Desk) -> None:
    refusals = {"Retry-After": "60"}
    desk.page.route("**/predict*", lambda route: refuse(route, 429, "Too many requests", "Later", **refusals))
    desk.drop(*DROPPED[:6])
    expect(desk.page.locator("#list")).to_contain_text("Asking again in")
    desk.page.get_by_role("button", name="Clear").click()
    desk.page.unroute("**/predict*")
    desk.drop(("new.png", png(30)))
    desk.wait_for(answered=1)
