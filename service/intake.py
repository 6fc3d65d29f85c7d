"""What is let in: no more bytes at once than there is room for, in their time, and nothing new while draining."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager

from service.errors import NoRoom, NotReady, SlowBody
from service.tally import Tally


class Intake:
    """Counts visits and the bytes that they hold, over all requests.

    A body is held until its request is answered, so its bytes count for that long. `max_bytes` bounds what has come,
    not what was announced: a caller who announces much and sends nothing takes no room from others.
    """

    def __init__(
        self,
        max_bytes: int,
        idle_seconds: float,
        body_seconds: float,
        held: Tally | None = None,
        visits: Tally | None = None,
    ) -> None:
        self.max_bytes = max_bytes
        self.idle_seconds = idle_seconds
        self.body_seconds = body_seconds
        self.draining = False
        self._held = held or Tally()
        self._visits = visits or Tally()
        self._inside: set[Visit] = set()

    @property
    def visits(self) -> int:
        """Requests that are inside, of all processes."""
        return self._visits.whole

    @property
    def own_visits(self) -> int:
        """Those of this process."""
        return len(self._inside)

    @property
    def held_bytes(self) -> int:
        """Bytes held by this process."""
        return self._held.own

    @held_bytes.setter
    def held_bytes(self, count: int) -> None:
        self._held.own = count

    def refuse_beyond(self, more: int) -> None:
        """Raise `NoRoom` where all processes together have no room for `more` bytes."""
        if self._held.whole + more > self.max_bytes:
            raise NoRoom(f"{self._held.whole} bytes of uploads are held already")

    @property
    def fault(self) -> str | None:
        """Why nothing new is let in, or None when it is."""
        return "the service is going away" if self.draining else None

    @contextmanager
    def visit(self) -> Iterator["Visit"]:
        """One request's stay; raises `NotReady` while draining."""
        if self.draining:
            raise NotReady(self.fault or "")
        visit = Visit(self)
        self._inside.add(visit)
        self._visits.own += 1
        try:
            yield visit
        finally:
            self._inside.discard(visit)
            self._visits.own -= 1
            self.held_bytes -= visit.held_bytes

    async def all_left(self) -> None:
        """Return once every request that is inside now has left, whoever comes in the meantime."""
        inside = frozenset(self._inside)
        while inside & self._inside:  # noqa: ASYNC110 - visits are many and need no event each
            await asyncio.sleep(0.05)


class Visit:
    """One request's share of the room."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.held_bytes = 0

    async def receive(self, chunks: AsyncIterator[bytes], declared: int = 0) -> AsyncGenerator[bytes, None]:
        """`chunks` as they come; raises `NoRoom` where they do not fit, `SlowBody` where they are not there in time."""
        self._intake.refuse_beyond(declared)
        end = asyncio.get_running_loop().time() + self._intake.body_seconds
        while (chunk := await self._next(chunks, end)) is not None:
            self._intake.refuse_beyond(len(chunk))
            self.held_bytes += len(chunk)
            self._intake.held_bytes += len(chunk)
            yield chunk

    async def _next(self, chunks: AsyncIterator[bytes], end: float) -> bytes | None:
        """The next chunk, or None after the last one."""
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(end, now + self._intake.idle_seconds)):
                return await anext(chunks, None)
        except TimeoutError:
            whole, idle = self._intake.body_seconds, self._intake.idle_seconds
            raise SlowBody(f"it must be whole within {whole:g} s, and never pause for {idle:g} s") from None
