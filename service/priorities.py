"""Who goes first: `stat` before `routine`, unless routine has waited long enough."""

import math
from collections import deque
from collections.abc import Iterator
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

Priority = Literal["stat", "routine"]
PRIORITIES: tuple[Priority, ...] = ("stat", "routine")

STAT_SHARE = 8
"""For so many places there is one more that only `stat` may take, so that no flood of routine shuts the door on it."""


class Urgency(NamedTuple):
    """A caller's priority, and the moment of `time.perf_counter` past which it no longer waits."""

    priority: Priority = "routine"
    ends: float = math.inf


ROUTINE = Urgency()


class Waits(Protocol):
    """What can stand in a queue: since when (seconds), and how urgent."""

    @property
    def enqueued(self) -> float: ...  # noqa: D102 - see the class
    @property
    def priority(self) -> Priority: ...  # noqa: D102 - see the class


Entry = TypeVar("Entry", bound=Waits)


def places_for(priority: Priority, places: int) -> int:
    """How many entries may wait before one of this priority is refused."""
    return places + math.ceil(places / STAT_SHARE) if priority == "stat" else places


class Queue(Generic[Entry]):
    """First come first served within a priority; a routine entry counts as a stat one that came `ageing` s later.

    So routine waits for no stat entry that comes after its `ageing` is over, and cannot starve. Nor can stat: a
    backlog of aged routine entries goes before it only as far as it is older by `ageing`.
    """

    def __init__(self, ageing_seconds: float) -> None:
        self._ageing = {"stat": 0.0, "routine": ageing_seconds}
        self._waiting: dict[Priority, deque[Entry]] = {priority: deque() for priority in PRIORITIES}

    def __len__(self) -> int:
        """Entries of both kinds."""
        return sum(map(len, self._waiting.values()))

    def __iter__(self) -> Iterator[Entry]:
        """All entries, stat ones first."""
        for waiting in self._waiting.values():
            yield from waiting

    @property
    def oldest(self) -> float:
        """Since when the longest-waiting entry is here; never where none is."""
        return min((waiting[0].enqueued for waiting in self._waiting.values() if waiting), default=math.inf)

    def append(self, entry: Entry) -> None:
        """Enqueue an entry, none of whose kind came later."""
        self._waiting[entry.priority].append(entry)

    def pop(self) -> Entry:
        """The entry whose turn it is; raises `IndexError` where none waits."""
        stat, routine = self._waiting["stat"], self._waiting["routine"]
        if not stat or (routine and self._turn(routine[0]) <= self._turn(stat[0])):
            return routine.popleft()
        return stat.popleft()

    def discard(self, entry: Entry) -> bool:
        """Take an entry out wherever it stands; whether it was there."""
        try:
            self._waiting[entry.priority].remove(entry)
        except ValueError:
            return False
        return True

    def clear(self) -> None:
        """Take all out."""
        for waiting in self._waiting.values():
            waiting.clear()

    def _turn(self, entry: Entry) -> float:
        return entry.enqueued + self._ageing[entry.priority]
