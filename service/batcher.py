"""Many callers, one batch. Knows nothing of images or models: payloads go in, `run` answers them in order."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Literal, TypeVar

from service.errors import (
    DeadlineExceeded,
    InferenceFailed,
    NotReady,
    Overloaded,
    ServiceError,
    Unavailable,
    WorkerDied,
)
from service.lanes import Fault, Lane, LaneFault, Lanes
from service.priorities import Priority, Queue, places_for

Payload = TypeVar("Payload")
Result = TypeVar("Result")

FAILURES_IN_A_ROW = 3
"""Batches that may fail one after another before the fault is sought in what they run on."""
STOP_SECONDS = 5.0
"""How long `stop` waits for a run that may hang."""

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
class _Entry(Generic[Payload, Result]):
    payload: Payload
    future: asyncio.Future[Answer[Result]]
    enqueued: float
    ends: float
    priority: Priority


class Batcher(Generic[Payload, Result]):
    """A bounded queue before some lanes, each a thread that runs one batch at a time.

    `run` takes payloads and returns as many results in the same order; it is called in a lane's thread, and so is
    `begin` when that starts. An exception of `run` reaches the callers of its batch alone. A caller that is cancelled
    is never computed. A lane whose thread dies, or whose run does not end within `stuck_seconds`, goes on in a fresh
    one. `renew` makes what all lanes run on anew, while none runs: after a run that did not end, one that raised
    `Unavailable`, or several in a row that failed.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Payload]], Sequence[Result]],
        *,
        lanes: int = 1,
        max_batch_size: int = 32,
        max_queue_delay_ms: float = 0.0,
        max_queue_size: int = 128,
        routine_ageing_ms: float = 5000.0,
        stuck_seconds: float = 30.0,
        max_stuck_runs: int = 3,
        name: str = "lane",
        begin: Callable[[], None] | None = None,
        renew: Callable[[], None] = lambda: None,
        skipped: Callable[[Skipped], None] = lambda _: None,
        faulted: Callable[[Fault], None] = lambda _: None,
    ) -> None:
        self._run = run
        self._lanes = Lanes(lanes, name=name, begin=begin, renew=renew, max_stuck_runs=max_stuck_runs, faulted=faulted)
        self._max_batch_size = max_batch_size
        self._delay = max_queue_delay_ms / 1000
        self._max_queue_size = max_queue_size
        self._stuck_seconds = stuck_seconds
        self._skipped = skipped
        self._queue: Queue[_Entry[Payload, Result]] = Queue(routine_ageing_ms / 1000)
        self._failures = 0
        self._started = self._stopping = False

    @property
    def alive(self) -> bool:
        """Whether a lane is at work; False before `start`, while what they run on is renewed, and after `stop`."""
        return self._started and not self._stopping and self._lanes.at_work

    @property
    def depth(self) -> int:
        """Entries that wait."""
        return len(self._queue)

    async def start(self) -> None:
        """Start the lanes in the running event loop."""
        self._arrived = asyncio.Condition()
        self._started = True
        self._lanes.start(self._serve, self._lanes_changed)

    async def stop(self) -> None:
        """Refuse new entries, finish the waiting ones, end the lanes; a run that hangs is not waited for."""
        self._stopping = True
        if self._started:
            async with self._arrived:
                self._arrived.notify_all()
            await self._lanes.stop(STOP_SECONDS)
            self._turn_away()

    async def submit(self, payload: Payload, deadline_seconds: float, priority: Priority = "routine") -> Answer[Result]:
        """Wait for the payload's own answer.

        Raises `Overloaded` at once when the queue is full, `DeadlineExceeded` when time is up (the entry is then
        never computed), `InferenceFailed` when its batch failed, `WorkerDied` when its lane did or none is left, and
        `NotReady` before `start` and after `stop`.
        """
        self._refuse_if_closed(priority)
        now = time.perf_counter()
        future: asyncio.Future[Answer[Result]] = asyncio.get_running_loop().create_future()
        entry = _Entry(payload, future, now, now + deadline_seconds, priority)
        self._queue.append(entry)
        try:
            async with asyncio.timeout(deadline_seconds):
                async with self._arrived:
                    self._arrived.notify()
                return await entry.future
        except TimeoutError:
            raise DeadlineExceeded(f"no answer within {deadline_seconds * 1000:.0f} ms") from None
        finally:
            entry.future.cancel()
            self._withdraw(entry)

    def _refuse_if_closed(self, priority: Priority) -> None:
        if self._stopping or not self._started:
            raise NotReady
        if self._lanes.hopeless:
            raise WorkerDied
        places = places_for(priority, self._max_queue_size)
        if len(self._queue) >= places:
            raise Overloaded(f"{places} slices are waiting already")

    def _withdraw(self, entry: _Entry[Payload, Result]) -> None:
        """Free the place of a caller that left, so that it does not count against the bound."""
        if entry.future.cancelled() and self._queue.discard(entry):
            self._skipped("late" if time.perf_counter() >= entry.ends else "gone")

    async def _serve(self, lane: Lane) -> None:
        while not lane.fault and (batch := await self._next_batch()):
            try:
                lane.fault = await self._answer(lane, batch)
            except BaseException:
                self._fail(batch, WorkerDied)
                raise

    async def _next_batch(self) -> list[_Entry[Payload, Result]]:
        """The entries whose turn it is, at most a batch; empty when the batcher stops and nothing waits."""
        async with self._arrived:
            while True:
                await self._arrived.wait_for(lambda: self._lanes.open and (self._queue or self._stopping))
                while self._queue and (wait := self._time_to_fill()) > 0:
                    await self._wait_for_arrival(wait)
                batch = self._take() if self._lanes.open else []
                if batch or (self._stopping and not self._queue):
                    return batch

    def _take(self) -> list[_Entry[Payload, Result]]:
        """The next entries that somebody still waits for, at most a batch."""
        batch: list[_Entry[Payload, Result]] = []
        now = time.perf_counter()
        while self._queue and len(batch) < self._max_batch_size:
            entry = self._queue.pop()
            if entry.future.done() or entry.ends <= now:
                self._skipped("late" if entry.ends <= now else "gone")
            else:
                batch.append(entry)
        return batch

    def _time_to_fill(self) -> float:
        """Seconds that the longest-waiting entry may still wait for company."""
        if self._stopping or len(self._queue) >= self._max_batch_size:
            return 0.0
        return self._queue.oldest + self._delay - time.perf_counter()

    async def _wait_for_arrival(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return

    async def _answer(self, lane: Lane, batch: list[_Entry[Payload, Result]]) -> Fault | None:
        """Answer a batch's callers, be it with an error; what befell the lane, if anything."""
        started = time.perf_counter()
        payloads = [entry.payload for entry in batch]
        try:
            results = await lane.run(self._run, payloads, stuck_seconds=self._stuck_seconds)
            answers = list(zip(batch, results, strict=True))
        except LaneFault as error:
            self._fail(batch, partial(WorkerDied, str(error)))
            return error.fault
        except Exception as error:  # noqa: BLE001 - whatever `run` raises belongs to this batch's callers
            return self._failed(batch, error)
        self._failures = 0
        run_seconds = time.perf_counter() - started
        for entry, result in answers:
            if not entry.future.done():
                entry.future.set_result(Answer(result, len(batch), started - entry.enqueued, run_seconds))
        return None

    def _failed(self, batch: list[_Entry[Payload, Result]], error: Exception) -> Fault | None:
        """Tell a batch's callers; a fault of the lane where `run` is spent, or fails time and again."""
        kind: Callable[[], ServiceError] = InferenceFailed
        if isinstance(error, Unavailable):
            kind = partial(type(error), str(error))
        self._fail(batch, kind, error)
        self._failures += 1
        if kind is InferenceFailed and self._failures < FAILURES_IN_A_ROW:
            return None
        self._failures = 0
        return "failed"

    def _fail(
        self,
        entries: Iterable[_Entry[Payload, Result]],
        kind: Callable[[], ServiceError],
        cause: Exception | None = None,
    ) -> None:
        """Give each waiting caller an error of its own: a raised exception carries its caller's traceback."""
        for entry in entries:
            if not entry.future.done():
                error = kind()
                error.__cause__ = cause
                entry.future.set_exception(error)

    async def _lanes_changed(self) -> None:
        """Wake the lanes that may run again; where none will soon, nobody may wait for them."""
        if self._lanes.hopeless:
            self._turn_away()
        async with self._arrived:
            self._arrived.notify_all()

    def _turn_away(self) -> None:
        self._fail(self._queue, WorkerDied)
        self._queue.clear()
