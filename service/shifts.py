"""A lane's time at work: how its thread goes from batch to batch, and how the event loop ends that."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Shift:
    """Batch after batch in a lane's thread, until nothing waits or the event loop calls it off."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._began = time.perf_counter()
        self._over = False

    @contextmanager
    def begin_batch(self) -> Iterator[bool]:
        """Whether another batch may begin, which it does within: it is there whole before the shift is called off."""
        with self._changing:
            self._began = time.perf_counter()
            yield not self._over

    def get_on(self) -> None:
        """The present batch gets on: from now it is as old as one that has just begun."""
        with self._changing:
            self._began = time.perf_counter()

    def call_off(self, age_seconds: float = 0.0) -> float:
        """Seconds until the present batch is older than that; where it is, no other begins after it."""
        with self._changing:
            left = self._began + age_seconds - time.perf_counter()
            self._over = self._over or left <= 0
            return left


class Watch:
    """Looks at a shift until a batch of it takes longer than `stuck_seconds`; then calls it off and `give_up`."""

    def __init__(self, shift: Shift, stuck_seconds: float, give_up: Callable[[], Any]) -> None:
        self._shift = shift
        self._stuck_seconds = stuck_seconds
        self._give_up = give_up
        self._look_after(stuck_seconds)

    def end(self) -> None:
        """Look no more."""
        self._next.cancel()

    def _look_after(self, seconds: float) -> None:
        self._next = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        if (left := self._shift.call_off(self._stuck_seconds)) > 0:
            self._look_after(left)
        else:
            self._give_up()
