"""Lanes: threads that run batch after batch, what may befall them, and when the next attempt to mend one is due."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Literal, TypeVar

import structlog

from service.shifts import Shift, Watch
from service.worker import Worker, WorkerLost

AnyShift = TypeVar("AnyShift", bound=Shift)

Fault = Literal["stuck", "died", "failed"]
"""A run that does not end, a thread that is gone, runs that fail: the last leaves the thread as it is."""

REMEMBERED_SECONDS = 600.0
LONGEST_PAUSE_SECONDS = 60.0


class LaneFault(Exception):
    """A run took its lane along; the text is fit for callers."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.fault: Fault = fault


class Backoff:
    """At once the first time, then after 1, 2, 4 … 60 seconds; what is ten minutes old is forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._attempts: deque[float] = deque()

    def pause(self) -> float:
        """Seconds to wait before the attempt that is hereby counted."""
        now = self._clock()
        while self._attempts and now - self._attempts[0] > REMEMBERED_SECONDS:
            self._attempts.popleft()
        before = len(self._attempts)
        seconds = min(LONGEST_PAUSE_SECONDS, 2.0 ** min(before - 1, 10)) if before else 0.0
        self._attempts.append(now + seconds)
        return seconds


class Lane:
    """One thread before a model.

    `fault` is None while it is at work, `busy` while it runs batches, `pausing` while no attempt at mending it is due,
    and `blocking` while what all lanes run on is not fit for it.
    """

    def __init__(self, name: str, begin: Callable[[], None] | None) -> None:
        self.name = name
        self.fault: Fault | None = None
        self.busy = self.pausing = self.blocking = False
        self.backoff = Backoff()
        self._begin = begin
        self.worker = Worker(name, begin)

    async def work(self, function: Callable[[AnyShift], None], shift: AnyShift, *, stuck_seconds: float) -> None:
        """Return once `function(shift)` has in the thread; raises what it raises, or `LaneFault`.

        None of its batches may take longer than `stuck_seconds`. However this ends, no batch begins after it.
        """
        working = self.worker.call(function, shift)
        self.busy = True
        stuck = LaneFault("stuck", f"a run did not end within {stuck_seconds:g} s")
        watch = Watch(shift, stuck_seconds, partial(_fail, working, stuck))
        try:
            await working
        except WorkerLost as error:
            raise LaneFault("died", f"its thread died ({error})") from error
        finally:
            shift.call_off()
            watch.end()
            self.busy = False

    def replace(self) -> Worker:
        """Take a fresh thread; the old one, which ends once its call does, is returned."""
        old, self.worker = self.worker, Worker(self.name, self._begin)
        old.dismiss()
        return old


class Lanes:
    """All lanes of one model. They share what they run on, so none may run while that is renewed for another.

    `serve` is a lane's life: it returns once the lane has a fault, or when all is to end. `changed` is awaited whenever
    `open` or `hopeless` may have changed.
    """

    def __init__(
        self,
        count: int,
        *,
        name: str,
        begin: Callable[[], None] | None,
        renew: Callable[[], None],
        max_stuck_runs: int,
        faulted: Callable[[Fault], None],
    ) -> None:
        self._count, self._name, self._begin = count, name, begin
        self._lanes: list[Lane] = []
        self._renew = renew
        self._max_stuck_runs = max_stuck_runs
        self._faulted = faulted
        self._left_behind: list[Worker] = []
        self._renewal = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def open(self) -> bool:
        """Whether a lane that is at work may run."""
        return not any(lane.blocking for lane in self._lanes)

    @property
    def at_work(self) -> bool:
        """Whether an entry would be computed now."""
        return self.open and any(lane.fault is None for lane in self._lanes)

    @property
    def busy(self) -> int:
        """Lanes that run batches now."""
        return sum(lane.busy for lane in self._lanes)

    @property
    def hopeless(self) -> bool:
        """Whether an entry would have to wait for an attempt at mending that is not due yet."""
        blocking = [lane for lane in self._lanes if lane.blocking]
        return any(lane.pausing for lane in blocking) if blocking else all(lane.pausing for lane in self._lanes)

    def start(self, serve: Callable[[Lane], Awaitable[None]], changed: Callable[[], Awaitable[None]]) -> None:
        """Start a task a lane; one that ends before `stop` is started again."""
        self._serve = serve
        self._changed = changed
        self._lanes = [Lane(f"{self._name}-{number}", self._begin) for number in range(self._count)]
        for lane in self._lanes:
            self._start(lane)

    async def stop(self, seconds: float) -> None:
        """Let the lanes come to their end; those that hang after so many seconds are left behind."""
        self._stopping.set()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks.values(), timeout=seconds)
        for task in late:
            task.cancel()
        for lane in self._lanes:
            lane.worker.dismiss()

    def _start(self, lane: Lane) -> None:
        self._tasks[lane.name] = asyncio.create_task(self._live(lane), name=lane.name)
        self._tasks[lane.name].add_done_callback(partial(self._ended, lane))

    async def _live(self, lane: Lane) -> None:
        while not self._stopping.is_set():
            if lane.fault:
                await self._mend(lane)
            await self._serve(lane)

    def _ended(self, lane: Lane, task: asyncio.Task[None]) -> None:
        """A lane that ends before `stop` has died."""
        if not task.cancelled() and (error := task.exception()):
            structlog.get_logger().error("lane-ended", lane=lane.name, cause=type(error).__name__)
        if not self._stopping.is_set():
            lane.fault = lane.fault or "died"
            self._start(lane)

    async def _mend(self, lane: Lane) -> None:
        """Take a fresh thread or renew what all run on, as the fault demands; again and again until it succeeds."""
        fault = lane.fault
        structlog.get_logger().error("lane-fault", lane=lane.name, fault=fault)
        self._faulted(fault or "died")
        renews, fresh = fault != "died", fault == "failed"
        while lane.fault and not self._stopping.is_set():
            await self._pause(lane)
            if not (fresh or self._replaced(lane)):
                renews = lane.blocking  # the others go on meanwhile, with what there is
            elif not renews or await self._renewed(lane):
                lane.fault = None
            fresh = False
        await self._changed()

    async def _pause(self, lane: Lane) -> None:
        seconds = lane.backoff.pause()
        lane.pausing = seconds > 0
        await self._changed()
        if lane.pausing:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)
            lane.pausing = False

    def _replaced(self, lane: Lane) -> bool:
        """Give a lane a fresh thread, unless so many runs hang already that another must not be risked."""
        self._left_behind = [worker for worker in self._left_behind if worker.alive]
        if len(self._left_behind) >= self._max_stuck_runs:
            return False
        self._left_behind.append(lane.replace())
        return True

    async def _renewed(self, lane: Lane) -> bool:
        """Renew what all run on once no other lane runs; none may before that has succeeded."""
        async with self._renewal:
            lane.blocking = True
            while any(each.busy for each in self._lanes):  # noqa: ASYNC110 - rare, and soon over
                await asyncio.sleep(0.01)
            try:
                await lane.worker.call(self._renew)
            except Exception as error:  # noqa: BLE001 - it is tried again
                structlog.get_logger().error("renewal-failed", lane=lane.name, cause=type(error).__name__)
                return False
            lane.blocking = False
        return True


def _fail(working: asyncio.Future[None], fault: LaneFault) -> None:
    if not working.done():
        working.set_exception(fault)
