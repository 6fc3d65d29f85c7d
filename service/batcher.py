"""Many callers, one batch. Knows nothing of images or models: payloads go in, `run` answers them in order."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.errors import DeadlineExceeded, InferenceFailed, NotReady, Overloaded, ServiceError, WorkerDied

Payload = TypeVar("Payload")
Result = TypeVar("Result")


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


class Batcher(Generic[Payload, Result]):
    """A bounded queue before some lanes, each a thread that runs one batch at a time.

    `run` takes payloads and returns as many results in the same order; it is called in a lane's thread, and so is
    `begin` when that starts. An exception of `run` reaches the callers of its batch alone. A caller that is cancelled
    is never computed.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Payload]], Sequence[Result]],
        *,
        lanes: int = 1,
        max_batch_size: int = 32,
        max_queue_delay_ms: float = 0.0,
        max_queue_size: int = 128,
        name: str = "lane",
        begin: Callable[[], None] | None = None,
    ) -> None:
        self._run = run
        self._lanes = lanes
        self._max_batch_size = max_batch_size
        self._delay = max_queue_delay_ms / 1000
        self._max_queue_size = max_queue_size
        self._name = name
        self._begin = begin
        self._queue: deque[_Entry[Payload, Result]] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    @property
    def alive(self) -> bool:
        """Whether every lane is at work; False before `start`, once one has died, and after `stop`."""
        return bool(self._tasks) and not self._stopping and not any(task.done() for task in self._tasks)

    @property
    def depth(self) -> int:
        """Entries that wait."""
        return len(self._queue)

    async def start(self) -> None:
        """Start the lanes in the running event loop."""
        self._arrived = asyncio.Condition()
        self._pool = ThreadPoolExecutor(self._lanes, thread_name_prefix=self._name, initializer=self._begin)
        self._tasks = [asyncio.create_task(self._lane(), name=f"{self._name}-{i}") for i in range(self._lanes)]
        for task in self._tasks:
            task.add_done_callback(self._lane_ended)

    async def stop(self) -> None:
        """Refuse new entries, finish the waiting ones, end the lanes."""
        self._stopping = True
        if self._tasks:
            async with self._arrived:
                self._arrived.notify_all()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._pool.shutdown(wait=False)

    async def submit(self, payload: Payload, deadline_seconds: float) -> Answer[Result]:
        """Wait for the payload's own answer.

        Raises `Overloaded` at once when the queue is full, `DeadlineExceeded` when time is up (the entry is then
        never computed), `InferenceFailed` when its batch failed, `WorkerDied` or `NotReady` when no lane is left.
        """
        self._refuse_if_closed()
        entry = _Entry(payload, asyncio.get_running_loop().create_future(), time.perf_counter())
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

    def _refuse_if_closed(self) -> None:
        if self._stopping or not self._tasks:
            raise NotReady
        if not self.alive:
            raise WorkerDied
        if len(self._queue) >= self._max_queue_size:
            raise Overloaded(f"{self._max_queue_size} slices are waiting already")

    def _withdraw(self, entry: _Entry[Payload, Result]) -> None:
        """Free the place of a caller that left, so that it does not count against the bound."""
        if entry.future.cancelled() and entry in self._queue:
            self._queue.remove(entry)

    async def _lane(self) -> None:
        while batch := await self._next_batch():
            try:
                await self._answer(batch)
            except BaseException:
                self._fail(batch, WorkerDied)
                raise

    async def _next_batch(self) -> list[_Entry[Payload, Result]]:
        """The oldest waiting entries, at most a batch; empty when the batcher stops and nothing waits."""
        async with self._arrived:
            while True:
                await self._arrived.wait_for(lambda: self._queue or self._stopping)
                while self._queue and (wait := self._time_to_fill()) > 0:
                    await self._wait_for_arrival(wait)
                batch = self._take()
                if batch or (self._stopping and not self._queue):
                    return batch

    def _take(self) -> list[_Entry[Payload, Result]]:
        """The oldest entries that somebody still waits for, at most a batch."""
        batch: list[_Entry[Payload, Result]] = []
        while self._queue and len(batch) < self._max_batch_size:
            entry = self._queue.popleft()
            if not entry.future.done():
                batch.append(entry)
        return batch

    def _time_to_fill(self) -> float:
        """Seconds that the head of the queue may still wait for company."""
        if self._stopping or len(self._queue) >= self._max_batch_size:
            return 0.0
        return self._queue[0].enqueued + self._delay - time.perf_counter()

    async def _wait_for_arrival(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return

    async def _answer(self, batch: list[_Entry[Payload, Result]]) -> None:
        started = time.perf_counter()
        payloads = [entry.payload for entry in batch]
        running = asyncio.get_running_loop().run_in_executor(self._pool, self._run, payloads)
        try:
            answers = list(zip(batch, await running, strict=True))
        except Exception as error:  # noqa: BLE001 - whatever `run` raises belongs to this batch's callers
            self._fail(batch, InferenceFailed, error)
            return
        run_seconds = time.perf_counter() - started
        for entry, result in answers:
            if not entry.future.done():
                entry.future.set_result(Answer(result, len(batch), started - entry.enqueued, run_seconds))

    def _fail(
        self, entries: Iterable[_Entry[Payload, Result]], kind: type[ServiceError], cause: Exception | None = None
    ) -> None:
        """Give each waiting caller an error of its own: a raised exception carries its caller's traceback."""
        for entry in entries:
            if not entry.future.done():
                error = kind()
                error.__cause__ = cause
                entry.future.set_exception(error)

    def _lane_ended(self, _: asyncio.Task[None]) -> None:
        """A lane that ends before `stop` has died, and the last one leaves nobody: none may wait for it."""
        if not self._stopping or all(task.done() for task in self._tasks):
            self._fail(self._queue, WorkerDied)
            self._queue.clear()
