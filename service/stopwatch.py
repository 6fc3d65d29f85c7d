"""How long something takes, where neighbours come and go."""

import time
from collections.abc import Callable, Sequence

TRIALS = 15


def shortest(runs: Sequence[Callable[[], object]]) -> list[float]:
    """Each one's shortest time of some, in seconds, as they take turns: a busy neighbour only ever adds to a time."""
    turns = [[seconds_of(run) for run in runs] for _ in range(TRIALS)]
    return [min(times) for times in zip(*turns, strict=True)]


def seconds_of(run: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
