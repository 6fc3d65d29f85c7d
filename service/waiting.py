"""What waits for a batch: entries that the event loop puts in and the lanes' threads take out."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from service.priorities import Priority, Queue

Payload = TypeVar("Payload")
Result = TypeVar("Result")

Skipped = Literal["gone", "late"]
"""Why an entry was not computed: its caller left, or its deadline passed."""


@dataclass(frozen=True)
class Answer(Generic[Result]):
    """One caller's result, how many slices shared its batch, and where its time went (seconds)."""

    result: Result
    batch_size: int
    queue_seconds: float
    run_seconds: float


@dataclass(eq=False)
class Entry(Generic[Payload, Result]):
    """A payload, the future that its caller waits for, since when and until when (`time.perf_counter`)."""

    payload: Payload
    future: asyncio.Future[Answer[Result]]
    enqueued: float
    ends: float
    priority: Priority


class Waiting(Generic[Payload, Result]):
    """A queue out of which batches of up to `max_batch_size` are taken, by any thread.

    A smaller batch waits for company until its longest-waiting entry has waited for `delay_seconds`. An entry whose
    caller left or whose deadline passed goes into no batch; `skipped` hears of it.
    """

    def __init__(
        self, max_batch_size: int, delay_seconds: float, ageing_seconds: float, skipped: Callable[[Skipped], None]
    ) -> None:
        self._max_batch_size = max_batch_size
        self._delay = delay_seconds
        self._skipped = skipped
        self._queue: Queue[Entry[Payload, Result]] = Queue(ageing_seconds)
        self._turn = threading.Lock()

    def __len__(self) -> int:
        """Entries that wait."""
        return len(self._queue)

    def append(self, entry: Entry[Payload, Result]) -> None:
        """Let an entry wait."""
        with self._turn:
            self._queue.append(entry)

    def seconds_to_fill(self) -> float:
        """Seconds that the longest-waiting entry may still wait for company."""
        with self._turn:
            return self._seconds_to_fill()

    def take(self, *, hurry: bool = False) -> list[Entry[Payload, Result]]:
        """The next batch; empty where nothing waits, or waits for company and there is no hurry."""
        batch: list[Entry[Payload, Result]] = []
        with self._turn:
            now = time.perf_counter()
            while (
                self._queue and len(batch) < self._max_batch_size and (batch or hurry or self._seconds_to_fill() <= 0)
            ):
                entry = self._queue.pop()
                if entry.future.done() or entry.ends <= now:
                    self._skip(entry, now)
                else:
                    batch.append(entry)
        return batch

    def withdraw(self, entry: Entry[Payload, Result]) -> None:
        """Free the place of a caller that left, so that it does not count against a bound."""
        with self._turn:
            waited = self._queue.discard(entry)
        if waited:
            self._skip(entry, time.perf_counter())

    def clear(self) -> list[Entry[Payload, Result]]:
        """Take all out."""
        with self._turn:
            entries = list(self._queue)
            self._queue.clear()
        return entries

    def _skip(self, entry: Entry[Payload, Result], now: float) -> None:
        self._skipped("late" if entry.ends <= now else "gone")

    def _seconds_to_fill(self) -> float:
        if len(self._queue) >= self._max_batch_size:
            return 0.0
        return self._queue.oldest + self._delay - time.perf_counter()
