"""A process that the supervisor starts, starts again when it dies, and ends."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from structlog import get_logger

from service.processes.gathering import Snapshot
from service.processes.nursery import NONE_LEFT, Nursery
from service.processes.post import Message, Post

FIRST_DELAY, MOST_DELAY = 0.1, 8.0
"""Seconds before a process that died young is started again; doubled each time."""
GROWN_UP_SECONDS = 10.0
"""A process that lived this long died of something else than its start."""
NOT_STARTED = 71
"""Exit status in place of one, as sysexits.h has it for an operating system that cannot fork."""

Heard = Callable[["Child", Message, list[int]], None]


class Child:
    """One place that a process fills, and its successors after it."""

    def __init__(self, name: str, nursery: Nursery, words: Message, heard: Heard) -> None:
        self.name = name
        self.place: int = words.get("place", 0)
        self.up = False
        self.ever_up = False
        self.snapshot: Snapshot = []
        self.post: Post | None = None
        self.status: int | None = None
        self._nursery = nursery
        self._words = words
        self._heard = heard
        self._process: asyncio.subprocess.Process | None = None
        self._delay = FIRST_DELAY
        self._ending = False
        self._vain_looks = 0

    async def run(self) -> int:
        """Start the process and wait for its end; its exit status, negative where a signal ended it.

        One that cannot be started for want of processes, threads or memory has died young.
        """
        try:
            self._process, post = await self._nursery.take()
        except NONE_LEFT as error:
            get_logger().error("process not started", process=self.name, reason=str(error))
            self.status = NOT_STARTED
            return self.status
        self.post = post
        try:
            post.listen(partial(self._hear, post), lambda: None)
        except RuntimeError as error:  # no thread is left to listen with
            get_logger().error("process not heard", process=self.name, reason=str(error))
            post.close()  # at which it ends
        self.tell(self._words)
        if self._ending:
            self._process.terminate()
        started = time.monotonic()
        self.status = await self._process.wait()
        self.up, self.post = False, None
        post.close()
        self._delay = FIRST_DELAY if time.monotonic() - started > GROWN_UP_SECONDS else self._delay
        return self.status

    async def wait_to_restart(self, stop: asyncio.Event) -> None:
        """Let a process that dies young wait the longer the more often it has, or until it is time to stop."""
        get_logger().error("process died", process=self.name, status=self.status, restart_seconds=self._delay)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), self._delay)
        self._delay = min(2 * self._delay, MOST_DELAY)

    def look(self) -> int:
        """How often the supervisor has looked in vain for a word of a process that is up.

        Looks are counted rather than seconds: where the whole machine stood still, nobody hung.
        """
        self._vain_looks = self._vain_looks + 1 if self.up else 0
        return self._vain_looks

    def remember(self, words: Message) -> None:
        """Tell successors this too."""
        self._words = {**self._words, **words}

    @property
    def listens(self) -> bool:
        """Whether it is up and keeps up with what it is told; one that hangs must hear no more than it needs."""
        return self.up and self.post is not None and self.post.has_room

    def tell(self, message: Message, *descriptors: int) -> None:
        """Send the process a message; one that has just died does not hear it."""
        if self.post:
            try:
                self.post.send(message, *descriptors)
            except OSError:
                get_logger().debug("nobody hears", process=self.name)

    def signal(self, number: int) -> None:
        """Send the process a signal, if it is still there; told to end, no successor stays either."""
        self._ending = self._ending or number == signal.SIGTERM
        if self._process and self._process.returncode is None:
            self._process.send_signal(number)

    def _hear(self, post: Post, message: Message, descriptors: list[int]) -> None:
        """Pass a message on, but for last words that come after the end: who is buried already must not count twice."""
        if post is not self.post:
            return
        self._vain_looks = 0
        self._heard(self, message, descriptors)

    def hang_up(self) -> None:
        """Close the line to the process, at which the engine ends."""
        if self.post:
            self.post.close()


def told_settings(settings: Any) -> Message:
    """The settings as a child takes them."""
    dumped: Message = settings.model_dump(mode="json")
    return dumped
