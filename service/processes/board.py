"""What the fronts count together, in memory that all of them see: pictures admitted, bytes held, clients' rates."""

import fcntl
import hashlib
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from service.processes.memory import new_memory
from service.rates import Rates
from service.tally import Tally

HELD_BYTES, VISITS, FIRST_LANE = 0, 1, 2
"""Rows: bytes of bodies, requests that are being answered; after them a row a lane, of pictures let in."""
ROWS = 512
SETS, WAYS = 2048, 8
"""Clients' buckets: each client belongs to one of the sets, in which the one used longest ago makes room."""
BUCKET = np.dtype([("client", np.uint64), ("tokens", np.float64), ("at", np.float64)])

Counts = npt.NDArray[np.int64]


class SharedTally(Tally):
    """One of the board's rows: each process writes its own cell and reads all.

    Cells are eight aligned bytes, which nobody sees half written. Two processes that look at the same moment may both
    find the last place free, so a bound may be overrun by a place a process.
    """

    def __init__(self, cells: Counts, place: int) -> None:
        self._cells = cells
        self._place = place

    @property
    def own(self) -> int:
        """What this process counts."""
        return int(self._cells[self._place])

    @own.setter
    def own(self, count: int) -> None:
        self._cells[self._place] = count

    @property
    def whole(self) -> int:
        """What all processes count together."""
        return int(self._cells.sum())


class SharedRates(Rates):
    """Rates that hold over all processes: one table of buckets behind a lock that dies with its holder."""

    def __init__(
        self, per_minute: float, burst: int, table: npt.NDArray[np.void], descriptor: int, clock: Callable[[], float]
    ) -> None:
        super().__init__(per_minute, burst, clock)
        self._table = table
        self._descriptor = descriptor

    def admit(self, client: str) -> None:
        """Draw a token; raises `RateLimited` where there is none."""
        with self._alone():
            super().admit(client)

    def charge(self, client: str, tokens: int) -> None:
        """Draw what a batch costs beyond its first picture."""
        with self._alone():
            super().charge(client, tokens)

    def _tokens(self, client: str) -> float:
        ways, identity = self._ways(client)
        (found,) = np.nonzero(ways["client"] == identity)
        if not len(found):
            return float(self._burst)
        tokens, at = (float(ways[name][found[0]]) for name in ("tokens", "at"))
        return min(self._burst, tokens + (self._clock() - at) * self._per_second)

    def _keep(self, client: str, tokens: float) -> None:
        ways, identity = self._ways(client)
        (found,) = np.nonzero(ways["client"] == identity)
        ways[found[0] if len(found) else ways["at"].argmin()] = (identity, tokens, self._clock())

    def _ways(self, client: str) -> tuple[npt.NDArray[np.void], int]:
        identity = int.from_bytes(hashlib.blake2b(client.encode(), digest_size=8).digest(), "little")
        return self._table[identity % SETS], identity

    @contextmanager
    def _alone(self) -> Iterator[None]:
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


class Board:
    """The memory behind `descriptor`, as the process at `place` among `places` sees it."""

    def __init__(self, descriptor: int, places: int, place: int = 0) -> None:
        self.descriptor = descriptor
        self._place = place
        memory = mmap.mmap(descriptor, 0)
        self._cells = np.frombuffer(memory, np.int64, ROWS * places).reshape(ROWS, places)
        self._buckets = np.frombuffer(memory, BUCKET, SETS * WAYS, self._cells.nbytes).reshape(SETS, WAYS)

    @classmethod
    def new(cls, places: int) -> "Board":
        """A board on which everything is nought."""
        return cls(new_memory(ROWS * places * 8 + SETS * WAYS * BUCKET.itemsize), places)

    def tally(self, row: int) -> Tally:
        """A row's count; beyond the last row each process counts for itself."""
        return SharedTally(self._cells[row], self._place) if row < ROWS else Tally()

    def rates(self, per_minute: float, burst: int, clock: Callable[[], float]) -> Rates:
        """Rates over all processes; `clock` must be one that they share, such as `time.monotonic` on one machine."""
        return SharedRates(per_minute, burst, self._buckets, self.descriptor, clock)

    def clear(self, place: int) -> None:
        """Forget what a process counted that is gone."""
        self._cells[:, place] = 0

    def close(self) -> None:
        """Give the descriptor back; the memory goes with its last reader."""
        os.close(self.descriptor)
