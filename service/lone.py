"""How many threads answer a picture soonest that has the machine to itself."""

import time
from collections.abc import Callable, Container

from service.stopwatch import shortest

Run = Callable[[], object]

THREADS = (2, 4, 8)
"""What a lone run may take; networks of a few milliseconds gain nothing from more."""
GAIN = 0.9
"""Share of a lane's time below which a run on more threads is worth a second copy of the weights."""
WINDOWS, PAUSE_SECONDS = 3, 0.4
"""How often, and after what pause, a gain is looked for: the other cores may just be busy."""
WORTH_SECONDS = 0.001
"""A lane's time below which there is nothing to gain."""


class LoneChoice:
    """A gain is found by the clock once, and held for every network alike without asking the clock again.

    Where none was found, each network looks for itself: the other cores may have been busy.
    """

    def __init__(self) -> None:
        self._threads: int | None = None

    def choose(self, allowed: Container[int], lane: Run, opened: Callable[[int], Run]) -> int | None:
        """The number of threads that gains enough over `lane`, a lane's run, or None; `opened` makes a run on so many.

        What is given back was opened, and may be the only one that was.
        """
        if self._threads is not None and self._threads in allowed:
            opened(self._threads)
            return self._threads
        choices = [threads for threads in THREADS if threads in allowed]
        if not choices:
            return None
        runs = [lane, *map(opened, choices)]
        for window in range(WINDOWS):
            time.sleep(PAUSE_SECONDS if window else 0.0)
            taken, *lone = shortest(runs)
            quickest = lone.index(min(lone))
            if taken < WORTH_SECONDS:
                return None
            if lone[quickest] < GAIN * taken:
                self._threads = choices[quickest]
                return self._threads
        return None
