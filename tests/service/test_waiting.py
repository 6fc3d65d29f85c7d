import asyncio
import threading
import time
from collections import Counter

from service.priorities import Priority
from service.waiting import Entry, Skipped, Waiting
from tests.loop import run

LONG = 60.0


def queue(size: int = 4, delay: float = 0.0, skipped: list[Skipped] | None = None) -> Waiting[int, int]:
    return Waiting(size, delay, 5.0, (list[Skipped]() if skipped is None else skipped).append)


def entry(payload: int, seconds: float = LONG, priority: Priority = "routine") -> Entry[int, int]:
    now = time.perf_counter()
    return Entry(payload, asyncio.get_running_loop().create_future(), now, now + seconds, priority)


def payloads(entries: list[Entry[int, int]]) -> list[int]:
    return [each.payload for each in entries]


def test_a_batch_is_what_came_first_up_to_its_size_stat_before_routine() -> None:
    async def work() -> None:
        waiting = queue(3)
        for payload in range(4):
            waiting.append(entry(payload))
        waiting.append(entry(9, priority="stat"))
        assert [payloads(waiting.take()) for _ in range(3)] == [[9, 0, 1], [2, 3], []]

    run(work)


def test_whose_caller_left_or_is_late_goes_into_no_batch() -> None:
    async def work() -> None:
        skipped = list[Skipped]()
        waiting = queue(2, skipped=skipped)
        entries = [entry(0), entry(1, seconds=-1), entry(2), entry(3)]
        for each in entries:
            waiting.append(each)
        entries[0].future.cancel()
        assert payloads(waiting.take()) == [2, 3]
        assert skipped == ["gone", "late"]

    run(work)


def test_a_batch_that_is_not_full_waits_for_company_unless_there_is_hurry() -> None:
    async def work() -> None:
        waiting = queue(2, delay=LONG)
        waiting.append(entry(0))
        assert 0 < waiting.seconds_to_fill() <= LONG
        assert waiting.take() == []
        assert payloads(waiting.take(hurry=True)) == [0]
        for payload in (1, 2):
            waiting.append(entry(payload))
        assert waiting.seconds_to_fill() == 0
        assert payloads(waiting.take()) == [1, 2]

    run(work)


def test_who_withdraws_frees_a_place_once() -> None:
    async def work() -> None:
        skipped = list[Skipped]()
        waiting = queue(skipped=skipped)
        leaving = entry(0)
        waiting.append(leaving)
        waiting.withdraw(leaving)
        waiting.withdraw(leaving)
        assert (len(waiting), skipped) == (0, ["gone"])

    run(work)


def test_threads_that_take_at_once_share_out_every_entry() -> None:
    async def work() -> None:
        waiting, taken = queue(3), list[int]()
        entries = [entry(payload) for payload in range(3000)]
        over = threading.Event()

        def take() -> None:
            while not over.is_set() or len(waiting):
                taken.extend(payloads(waiting.take()))

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for each in entries:
            waiting.append(each)
            if each.payload % 7 == 0:
                waiting.withdraw(each)
        over.set()
        for thread in threads:
            thread.join(20)
        counts = Counter(taken)
        assert max(counts.values()) == 1
        assert set(range(3000)) - set(counts) <= set(range(0, 3000, 7))

    run(work)
