import math
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.e2e.conftest import ROOT, Server, start
from tests.page.desk import DROP, Desk

pytestmark = pytest.mark.page

FIRST_PAINT_MS = 300
LONGEST_TASK_MS = 200
WATCH = """() => {
    window.tasks = [];
    new PerformanceObserver(list => tasks.push(...list.getEntries().map(each => each.duration)))
        .observe({ type: "longtask" });
}"""


def test_the_first_paint_comes_within_three_hundred_milliseconds(browser: Browser, server: Server) -> None:
    paints = [first_paint(browser, server.url) for _ in range(5)]
    print("first paint, ms:", [round(each) for each in paints])  # noqa: T201 - a figure to be read
    assert min(paints) < FIRST_PAINT_MS  # the best of some: whatever else the machine does can only add to it


def first_paint(browser: Browser, url: str) -> float:
    """Milliseconds from the request to the first paint, with nothing cached."""
    page = browser.new_page()
    page.goto(url)
    page.wait_for_selector("body[data-ready]")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    page.close()
    return float(paint)


def test_two_hundred_slices_at_once_are_all_answered_by_a_page_that_stays_responsive(
    browser: Browser, slices: list[Path], tmp_path: Path
) -> None:
    assert len(slices) == 200
    server = start(tmp_path, ROOT / "models")
    longest = math.inf
    for _ in range(3):  # the best of some, for the same reason
        longest = min(longest, longest_task(browser, server.url, slices))
        if longest < LONGEST_TASK_MS:
            break
    assert server.stop() == 0
    assert longest < LONGEST_TASK_MS


def longest_task(browser: Browser, url: str, slices: list[Path]) -> float:
    """Milliseconds of the longest task from the drop to the last of all answers."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    desk = Desk(page)
    desk.visit(url)
    desk.carry(*((path.name, path.read_bytes()) for path in slices))
    page.evaluate(WATCH)
    started = time.monotonic()
    page.evaluate(DROP)
    desk.wait_for(answered=len(slices))
    tasks: list[float] = [0.0, *page.evaluate("tasks")]
    seconds = time.monotonic() - started
    print(f"{len(slices)} slices, s: {seconds:.1f}; tasks over 50 ms: {sorted(map(round, tasks))[1:]}")  # noqa: T201 - the same
    assert len(desk.names) == len(slices)
    page.close()
    assert desk.faults == []
    return max(tasks)
