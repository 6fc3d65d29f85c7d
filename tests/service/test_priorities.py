import random
from dataclasses import dataclass

import pytest

from service.priorities import Priority, Queue, places_for


@dataclass(eq=False)
class Entry:
    """What waits: a name, since when, how urgently."""

    name: int
    enqueued: float
    priority: Priority


def queue(*entries: Entry, ageing: float = 10.0) -> Queue[Entry]:
    waiting: Queue[Entry] = Queue(ageing)
    for entry in entries:
        waiting.append(entry)
    return waiting


def order(waiting: Queue[Entry]) -> list[int]:
    return [waiting.pop().name for _ in range(len(waiting))]


def test_stat_goes_before_routine_and_each_kind_in_the_order_it_came() -> None:
    kinds: list[Priority] = ["routine", "stat", "routine", "stat", "stat"]
    assert order(queue(*(Entry(i, i / 10, kind) for i, kind in enumerate(kinds)))) == [1, 3, 4, 0, 2]


def test_a_routine_entry_goes_before_stat_that_comes_after_its_ageing() -> None:
    waiting = queue(Entry(0, 0.0, "routine"), Entry(1, 9.9, "stat"), Entry(2, 10.1, "stat"), Entry(3, 10.2, "routine"))
    assert order(waiting) == [1, 0, 2, 3]


def test_without_ageing_it_is_first_come_first_served() -> None:
    kinds: list[Priority] = ["routine", "stat", "routine", "stat"]
    assert order(queue(*(Entry(i, i, kind) for i, kind in enumerate(kinds)), ageing=0.0)) == [0, 1, 2, 3]


def test_a_flood_of_stat_starves_no_routine() -> None:
    waiting, waited = queue(Entry(-1, 0.0, "routine")), 0
    for second in range(100):
        for _ in range(2):  # twice what is served
            waiting.append(Entry(second, second, "stat"))
        if waiting.pop().name == -1:
            waited = second
            break
    assert 10 <= waited <= 25


def test_a_backlog_of_aged_routine_starves_no_stat() -> None:
    waiting = queue(*(Entry(-1, -40.0 + i / 2, "routine") for i in range(80)))  # all of it waits for up to 40 s
    waiting.append(Entry(1, 0.0, "stat"))
    for second in range(1, 200):
        waiting.append(Entry(-1, second, "routine"))  # as much as is served
        if waiting.pop().name == 1:
            break
    assert second <= 62  # those that are older by the ageing, and no other


def test_the_same_entries_come_out_once_each_whatever_is_taken_out_in_between() -> None:
    entries = [Entry(i, i, random.choice(["stat", "routine"])) for i in range(300)]
    waiting = queue(*entries)
    gone = random.sample(entries, 100)
    assert all(waiting.discard(entry) for entry in gone)
    assert not any(waiting.discard(entry) for entry in gone)
    assert sorted(order(waiting)) == sorted({entry.name for entry in entries} - {entry.name for entry in gone})


def test_the_longest_wait_is_seen_whatever_its_priority() -> None:
    assert queue(Entry(0, 5.0, "stat"), Entry(1, 3.0, "routine")).oldest == 3.0
    assert queue().oldest == float("inf")


def test_nothing_comes_out_of_an_empty_queue() -> None:
    with pytest.raises(IndexError):
        queue().pop()


def test_stat_finds_an_eighth_more_places_than_routine() -> None:
    assert [places_for("stat", places) for places in (1, 8, 128)] == [2, 9, 144]
    assert [places_for("routine", places) for places in (1, 8, 128)] == [1, 8, 128]
