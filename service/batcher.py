"""Many callers, one batch. Knows nothing of images or models: payloads go in, `run` answers them in order."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Generic

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
from service.priorities import Priority, places_for
from service.shifts import Shift
from service.waiting import Answer, Entry, Payload, Result, Skipped, Waiting

FAILURES_IN_A_ROW = 3
"""Batches that may fail one after another before the fault is sought in what they run on."""
STOP_SECONDS = 5.0
"""How long `stop` waits for a run that may hang."""


class _Shift(Shift, Generic[Payload, Result]):
    """A lane's time at work, and the entries that it computes now."""

    batch: Sequence[Entry[Payload, Result]] = ()


class Batcher(Generic[Payload, Result]):
    """A bounded queue before some lanes, each a thread that takes one batch after the other from it.

    `run` takes payloads and returns as many results in the same order; it is called in a lane's thread, and so is
    `begin` when that starts. An exception of `run` reaches the callers of its batch alone. A caller that is cancelled
    is never computed. A lane whose thread dies, or whose run neither ends nor calls `get_on` within `stuck_seconds`,
    goes on in a fresh one. `renew` makes what all lanes run on anew, while none runs: after a run that did not end, one
    that raised `Unavailable`, or several in a row that failed; only a result that is `sound` says that what they run on
    works.
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
        sound: Callable[[Result], bool] = lambda _: True,
    ) -> None:
        self._run = run
        self._sound = sound
        self._lanes = Lanes(lanes, name=name, begin=begin, renew=renew, max_stuck_runs=max_stuck_runs, faulted=faulted)
        self._max_queue_size = max_queue_size
        self._stuck_seconds = stuck_seconds
        self._waiting: Waiting[Payload, Result] = Waiting(
            max_batch_size, max_queue_delay_ms / 1000, routine_ageing_ms / 1000, skipped
        )
        self._here = threading.local()
        self._failures = 0
        self._started = self._stopping = False

    @property
    def alive(self) -> bool:
        """Whether a lane is at work; False before `start`, while what they run on is renewed, and after `stop`."""
        return self._started and not self._stopping and self._lanes.at_work

    @property
    def depth(self) -> int:
        """Entries that wait."""
        return len(self._waiting)

    @property
    def quiet(self) -> bool:
        """Whether no more than one lane is at work and nothing waits."""
        return self._lanes.busy <= 1 and not self._waiting

    def get_on(self) -> None:
        """For `run` to say that it does not hang, however long it takes in all; `stuck_seconds` begin anew."""
        self._here.shift.get_on()

    async def start(self) -> None:
        """Start the lanes in the running event loop."""
        self._loop = asyncio.get_running_loop()
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
        entry = Entry(payload, future, now, now + deadline_seconds, priority)
        self._waiting.append(entry)
        try:
            with suppress(TimeoutError):  # whose traceback leads to its task, and that back to it and to the payload
                async with asyncio.timeout(deadline_seconds):
                    async with self._arrived:
                        self._arrived.notify()
                    return await entry.future
            raise DeadlineExceeded.within(deadline_seconds)
        finally:
            entry.future.cancel()
            if entry.future.cancelled():
                self._waiting.withdraw(entry)

    def _refuse_if_closed(self, priority: Priority) -> None:
        if self._stopping or not self._started:
            raise NotReady
        if self._lanes.hopeless:
            raise WorkerDied
        places = places_for(priority, self._max_queue_size)
        if len(self._waiting) >= places:
            raise Overloaded(f"{places} slices are waiting already")

    async def _serve(self, lane: Lane) -> None:
        while not lane.fault and await self._work_waits():
            shift: _Shift[Payload, Result] = _Shift()
            try:
                lane.fault = await self._work_through(lane, shift)
            except BaseException:
                self._fail(shift.batch, WorkerDied)
                raise

    async def _work_waits(self) -> bool:
        """Return once a batch may begin, or with False when the batcher stops and nothing waits."""
        async with self._arrived:
            while True:
                await self._arrived.wait_for(lambda: self._lanes.open and (self._waiting or self._stopping))
                while self._waiting and (wait := self._seconds_to_fill()) > 0:
                    await self._wait_for_arrival(wait)
                if self._stopping and not self._waiting:
                    return False
                if self._waiting and self._lanes.open:
                    return True

    async def _work_through(self, lane: Lane, shift: _Shift[Payload, Result]) -> Fault | None:
        """Let the lane answer what waits; what befell it, if anything, of which the callers of its batch are told."""
        try:
            await lane.work(self._work, shift, stuck_seconds=self._stuck_seconds)
        except LaneFault as error:
            self._fail(shift.batch, partial(WorkerDied, str(error)))
            return error.fault
        except Exception as error:  # noqa: BLE001 - whatever `run` raises belongs to this batch's callers
            return self._failed(shift.batch, error)
        return None

    def _work(self, shift: _Shift[Payload, Result]) -> None:
        """In a lane's thread: batch after batch, without waiting for the event loop, until nothing waits."""
        self._here.shift = shift
        while batch := self._take(shift):
            self._answer(batch)

    def _answer(self, batch: Sequence[Entry[Payload, Result]]) -> None:
        """Run a batch; nothing of it stays in the thread, which may be long at the next one."""
        started = time.perf_counter()
        results = self._run([entry.payload for entry in batch])
        answers = list(zip(batch, results, strict=True))
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            self._loop.call_soon_threadsafe(self._answered, answers, started, time.perf_counter())

    def _take(self, shift: _Shift[Payload, Result]) -> Sequence[Entry[Payload, Result]]:
        """The next batch; none where the shift is over, or another lane needs all to stand still."""
        with shift.begin_batch() as may_begin:
            shift.batch = self._waiting.take(hurry=self._stopping) if may_begin and self._lanes.open else ()
            return shift.batch

    def _seconds_to_fill(self) -> float:
        return 0.0 if self._stopping else self._waiting.seconds_to_fill()

    async def _wait_for_arrival(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return

    def _answered(self, answers: list[tuple[Entry[Payload, Result], Result]], started: float, ended: float) -> None:
        """Hand a batch's results to those that still wait for them."""
        if any(self._sound(result) for _, result in answers):
            self._failures = 0
        for entry, result in answers:
            if not entry.future.done():
                entry.future.set_result(Answer(result, len(answers), started - entry.enqueued, ended - started))

    def _failed(self, batch: Iterable[Entry[Payload, Result]], error: Exception) -> Fault | None:
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
        entries: Iterable[Entry[Payload, Result]],
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
        self._fail(self._waiting.clear(), WorkerDied)
