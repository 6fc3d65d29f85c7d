from collections.abc import Callable, Iterator

import pytest

from service.lone import LoneChoice, Run

FOUR_CORES = range(2, 5)


def run() -> None:
    """Nothing."""


class Opened:
    """Remembers which numbers of threads were opened."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def __call__(self, threads: int) -> Run:
        self.threads.append(threads)
        return run


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Lets the clock say what is given, a look after another, and counts that there were no more and no fewer."""
    seen: list[list[float]] = []
    monkeypatch.setattr("service.lone.PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("service.lone.shortest", lambda _: seen.pop(0))
    yield lambda *times: seen.extend(times)
    assert not seen


def test_the_quickest_that_gains_enough_is_taken(windows: Callable[..., None]) -> None:
    windows([1.0, 0.8, 0.6])
    assert LoneChoice().choose(FOUR_CORES, run, Opened()) == 4


def test_a_gain_is_held_for_the_next_network_alike_which_opens_no_other(windows: Callable[..., None]) -> None:
    windows([1.0, 0.6, 0.8])
    choice, opened = LoneChoice(), Opened()
    assert choice.choose(FOUR_CORES, run, Opened()) == 2
    assert choice.choose(FOUR_CORES, run, opened) == 2
    assert opened.threads == [2]


def test_without_a_gain_the_next_one_looks_for_itself_and_may_find_it(windows: Callable[..., None]) -> None:
    windows([1.0, 1.0, 0.95], [1.0, 0.95, 1.0], [1.0, 0.95, 1.0], [1.0, 0.95, 0.95], [1.0, 0.7, 0.5])
    choice = LoneChoice()
    assert [choice.choose(FOUR_CORES, run, Opened()) for _ in range(3)] == [None, 4, 4]


def test_what_takes_no_time_is_looked_at_once(windows: Callable[..., None]) -> None:
    windows([0.0005, 0.0001, 0.0001])
    assert LoneChoice().choose(FOUR_CORES, run, Opened()) is None


def test_where_no_more_threads_are_allowed_none_is_opened(windows: Callable[..., None]) -> None:
    windows()
    opened = Opened()
    assert LoneChoice().choose(range(2, 2), run, opened) is None
    assert not opened.threads
