"""Honest fakes: each does for real what its name says."""

import threading
import time
from collections.abc import Sequence


class Doubler:
    """Answers every number with its double and remembers the batches it saw."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, payloads: Sequence[int]) -> list[int]:
        self.batches.append(list(payloads))
        return [2 * payload for payload in payloads]


class Gate(Doubler):
    """A doubler that answers only once it is opened; `entered` counts the batches inside."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Semaphore(0)
        self._opened = threading.Event()

    def __call__(self, payloads: Sequence[int]) -> list[int]:
        self.entered.release()
        assert self._opened.wait(15)
        return super().__call__(payloads)

    def open(self) -> None:
        """Let all batches through, now and later."""
        self._opened.set()


class FailsOn(Doubler):
    """A doubler that raises on a batch that holds the unlucky number."""

    def __init__(self, unlucky: int) -> None:
        super().__init__()
        self._unlucky = unlucky

    def __call__(self, payloads: Sequence[int]) -> list[int]:
        if self._unlucky in payloads:
            raise RuntimeError("unlucky")
        return super().__call__(payloads)


class Slow(Doubler):
    """A doubler that takes its time, as sessions do."""

    def __call__(self, payloads: Sequence[int]) -> list[int]:
        time.sleep(0.002)
        return super().__call__(payloads)
