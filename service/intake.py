"""What is let in: no more bytes at once than there is room for, in their time, and nothing new while draining."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager

from service.errors import NoRoom, NotReady, RateLimited, SlowBody
from service.tally import Tally


class Intake:
    """Counts visits and the bytes that they hold, over all requests.

    A body is held until its request is answered, so its bytes count for that long. `max_bytes` bounds what has come,
    not what was announced: a caller who announces much and sends nothing takes no room from others. No client holds
    more than `max_bytes_per_client`. A body brings `least_rate` bytes a second on the whole, give or take a silence.
    """

    def __init__(
        self,
        max_bytes: int,
        idle_seconds: float,
        body_seconds: float,
        *,
        least_rate: float = 1.0,
        max_bytes_per_client: int | None = None,
        held: Tally | None = None,
        visits: Tally | None = None,
    ) -> None:
        self.max_bytes = max_bytes
        self.max_bytes_per_client = max_bytes_per_client or max_bytes
        self.least_rate = least_rate
        self.idle_seconds = idle_seconds
        self.body_seconds = body_seconds
        self.draining = False
        self._held = held or Tally()
        self._visits = visits or Tally()
        self.held_by: Counter[str] = Counter()
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

    def refuse_beyond(self, client: str, more: int) -> None:
        """Raise `NoRoom` where all processes together have no room for `more` bytes.

        Raises `RateLimited` where it is this client that holds too much of this process's.
        """
        if self._held.whole + more > self.max_bytes:
            raise NoRoom(f"{self._held.whole} bytes of uploads are held already")
        if self.held_by[client] + more > self.max_bytes_per_client:
            raise RateLimited(f"a client's uploads may hold {self.max_bytes_per_client} bytes at once")

    @property
    def fault(self) -> str | None:
        """Why nothing new is let in, or None when it is."""
        return "the service is going away" if self.draining else None

    @contextmanager
    def visit(self, client: str = "") -> Iterator["Visit"]:
        """One request's stay; raises `NotReady` while draining."""
        if self.draining:
            raise NotReady(self.fault or "")
        visit = Visit(self, client)
        self._inside.add(visit)
        self._visits.own += 1
        try:
            yield visit
        finally:
            self._inside.discard(visit)
            self._visits.own -= 1
            self.hold(client, -visit.held_bytes)

    def hold(self, client: str, more: int) -> None:
        """Count what has come, or gone again."""
        self.held_bytes += more
        self.held_by[client] += more
        if not self.held_by[client]:
            del self.held_by[client]

    async def all_left(self) -> None:
        """Return once every request that is inside now has left, whoever comes in the meantime."""
        inside = frozenset(self._inside)
        while inside & self._inside:  # noqa: ASYNC110 - visits are many and need no event each
            await asyncio.sleep(0.05)


class Visit:
    """One request's share of the room."""

    def __init__(self, intake: Intake, client: str) -> None:
        self._intake = intake
        self._client = client
        self.held_bytes = 0

    async def receive(self, chunks: AsyncIterator[bytes], declared: int = 0) -> AsyncGenerator[bytes, None]:
        """`chunks` as they come; raises `SlowBody` where they are not there in time.

        Raises `NoRoom` or `RateLimited` where they do not fit.
        """
        self._intake.refuse_beyond(self._client, declared)
        begun = asyncio.get_running_loop().time()
        while (chunk := await self._next(chunks, begun)) is not None:
            self._intake.refuse_beyond(self._client, len(chunk))
            self.held_bytes += len(chunk)
            self._intake.hold(self._client, len(chunk))
            yield chunk

    async def _next(self, chunks: AsyncIterator[bytes], begun: float) -> bytes | None:
        """The next chunk, or None after the last one."""
        whole, idle, rate = self._intake.body_seconds, self._intake.idle_seconds, self._intake.least_rate
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(begun + whole, begun + idle + self.held_bytes / rate, now + idle)):
                return await anext(chunks, None)
        except TimeoutError:
            raise SlowBody(
                f"it must be whole within {whole:g} s, never pause for {idle:g} s, and bring {rate:g} bytes a second"
            ) from None
