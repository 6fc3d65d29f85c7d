"""Starts processes, and keeps one that has done its imports and waits for its first words."""

import asyncio
import socket
import sys
from contextlib import suppress
from typing import NamedTuple

from service.processes.post import Post

NONE_LEFT = (OSError, RuntimeError)
"""What the start of a process raises where the system has none left, or no thread to wait for its end with."""


class Started(NamedTuple):
    """A process and the line to it; it waits for its first message."""

    process: asyncio.subprocess.Process
    post: Post


class Nursery:
    """Starts `python -m module` with these open files; a spare, once asked for, saves its taker the imports."""

    def __init__(self, module: str, descriptors: tuple[int, ...]) -> None:
        self._module = module
        self._descriptors = descriptors
        self._spare: Started | None = None

    async def take(self) -> Started:
        """The spare, if there is a living one, or else a process that has just been started.

        Raises one of `NONE_LEFT` where the system has no process, thread or memory left for one.
        """
        spare, self._spare = self._spare, None
        if spare and spare.process.returncode is None:
            return spare
        return await self._start()

    async def refill(self) -> None:
        """Have a spare from now on, where the system has a process left for one."""
        if self._spare is None or self._spare.process.returncode is not None:
            with suppress(*NONE_LEFT):
                self._spare = await self._start()

    def dismiss(self) -> None:
        """Let the spare go, which ends once it finds its line closed."""
        if self._spare:
            self._spare.post.close()

    async def gone(self) -> None:
        """Wait for the end of a spare that was let go."""
        if self._spare:
            await self._spare.process.wait()

    async def _start(self) -> Started:
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors = (theirs.fileno(), *self._descriptors)
            command = [sys.executable, "-m", self._module, *map(str, descriptors)]
            try:
                process = await asyncio.create_subprocess_exec(*command, pass_fds=descriptors)
            except NONE_LEFT:
                ours.close()
                raise
        return Started(process, Post(ours))
