"""A thread that makes one call at a time, and that neither the event loop nor the end of the process waits for."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class WorkerLost(Exception):
    """The thread died of its call, or could not begin; it takes no other."""


class Worker:
    """A daemon thread: a native call that hangs cannot be killed, and would hold up the end of the process.

    `begin` is called in the thread before all else.
    """

    def __init__(self, name: str, begin: Callable[[], None] | None = None) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._begin = begin
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread is there, be it busy, hanging or waiting for its next call."""
        return self._thread.is_alive()

    def call(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """The result of `function(*args)` once the thread gets there; whatever it raises, or `WorkerLost`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._calls.put(_Call(loop, future, function, args))
        return future

    def dismiss(self) -> None:
        """End the thread after the calls it has."""
        self._calls.put(None)

    def _work(self) -> None:
        lost = self._fault_of_begin()
        while (call := self._calls.get()) is not None:
            if lost := lost or call.make():
                call.settle(error=WorkerLost(type(lost).__name__))
                return

    def _fault_of_begin(self) -> BaseException | None:
        try:
            if self._begin:
                self._begin()
        except BaseException as error:  # noqa: BLE001 - told to whoever calls first
            return error
        return None


class _Call:
    """What is to be done, and the future in the caller's loop that waits for it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Any],
        function: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> None:
        self._loop = loop
        self._future = future
        self._function = function
        self._args = args

    def make(self) -> BaseException | None:
        """Make the call and settle its future; what ends threads (`SystemExit`) is returned instead."""
        try:
            result = self._function(*self._args)
        except Exception as error:  # noqa: BLE001 - it is the caller's
            self.settle(error=error)
        except BaseException as error:  # noqa: BLE001 - the thread is lost
            return error
        else:
            self.settle(result)
        return None

    def settle(self, result: Any = None, error: Exception | None = None) -> None:
        """Hand the outcome to the loop, where that still runs."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._set, result, error)

    def _set(self, result: Any, error: Exception | None) -> None:
        if self._future.done():
            return
        if error is None:
            self._future.set_result(result)
        else:
            self._future.set_exception(error)
