import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from service.batcher import Batcher
from service.errors import InferenceFailed, NotReady, WorkerDied
from service.lanes import Backoff
from service.waiting import Entry, Waiting
from tests.fakes import DiesOn, Doubler, FailsOn, HangsOn, SpentOn
from tests.loop import run

LONG = 10.0


@asynccontextmanager
async def started(work: Callable[[Sequence[int]], Sequence[int]], **options: Any) -> AsyncIterator[Batcher[int, int]]:
    batcher: Batcher[int, int] = Batcher(work, **{"max_batch_size": 1, "stuck_seconds": 0.2} | options)
    await batcher.start()
    try:
        yield batcher
    finally:
        if isinstance(work, HangsOn):
            work.let_go()
        await batcher.stop()


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; the loop of the test ends one that never does."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens in threads too
        await asyncio.sleep(0.005)


async def outcomes(batcher: Batcher[int, int], *payloads: int) -> list[Any]:
    """Results, or the kinds of the errors."""
    got = await asyncio.gather(*(batcher.submit(each, LONG) for each in payloads), return_exceptions=True)
    return [type(each) if isinstance(each, BaseException) else each.result for each in got]


def test_a_run_that_hangs_fails_its_own_callers_and_a_fresh_lane_answers_the_others() -> None:
    async def work() -> None:
        faults: list[str] = []
        async with started(HangsOn(13), faulted=faults.append) as batcher:
            with pytest.raises(WorkerDied, match=r"did not end within 0\.2 s"):
                await batcher.submit(13, LONG)
            assert await outcomes(batcher, 1, 2, 3) == [2, 4, 6]
            assert batcher.alive
        assert faults == ["stuck"]

    run(work)


def test_callers_that_wait_behind_a_run_that_hangs_are_answered_by_the_fresh_lane() -> None:
    async def work() -> None:
        async with started(HangsOn(13)) as batcher:
            assert await outcomes(batcher, 13, 1, 2, 3) == [WorkerDied, 2, 4, 6]

    run(work)


def test_what_a_hung_run_answers_in_the_end_reaches_nobody() -> None:
    async def work() -> None:
        hangs = HangsOn(13)
        async with started(hangs) as batcher:
            assert await outcomes(batcher, 13) == [WorkerDied]
            answers = asyncio.gather(*(batcher.submit(each, LONG) for each in range(100, 130)))
            hangs.let_go()
            assert [each.result for each in await answers] == [2 * each for each in range(100, 130)]

    run(work)


def test_a_batch_that_a_lane_was_given_up_over_while_it_took_it_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    take, taking = Waiting.take, threading.Lock()

    def take_long_the_first_time(self: Waiting[int, int], *, hurry: bool = False) -> list[Entry[int, int]]:
        if taking.acquire(blocking=False):
            time.sleep(0.4)  # as a process does that is stopped from without
        return take(self, hurry=hurry)

    async def work() -> None:
        renewed = threading.Event()
        async with started(FailsOn(13), renew=renewed.wait) as batcher:
            try:
                with pytest.raises(WorkerDied, match="did not end"):
                    await batcher.submit(13, 1.0)
            finally:
                renewed.set()

    monkeypatch.setattr(Waiting, "take", take_long_the_first_time)
    run(work)


def test_what_lanes_run_on_is_renewed_after_a_hang_before_any_other_run() -> None:
    async def work() -> None:
        renewing, renewed = threading.Event(), threading.Event()

        def renew() -> None:
            renewing.set()
            assert renewed.wait(15)

        async with started(HangsOn(13), lanes=3, renew=renew) as batcher:
            assert await outcomes(batcher, 13) == [WorkerDied]
            await asyncio.to_thread(renewing.wait, 10)
            assert not batcher.alive
            waiting = asyncio.create_task(batcher.submit(1, LONG))
            await until(lambda: batcher.depth == 1)
            await asyncio.sleep(0.05)
            assert batcher.depth == 1
            renewed.set()
            assert (await waiting).result == 2
            assert batcher.alive

    run(work)


def test_no_more_hung_runs_are_replaced_than_is_allowed_until_one_ends() -> None:
    async def work() -> None:
        hangs = HangsOn(13)
        async with started(hangs, max_stuck_runs=2) as batcher:
            for lane in batcher._lanes._lanes:
                lane.backoff = Never()
            for _ in range(3):
                await until(lambda: batcher.alive)
                assert await outcomes(batcher, 13) == [WorkerDied]
            await asyncio.sleep(0.05)
            assert not batcher.alive
            assert hangs.inside == 3
            hangs.let_go()
            await until(lambda: batcher.alive)
            assert await outcomes(batcher, 1) == [2]

    run(work)


class Never(Backoff):
    """Hardly a pause, so that a test need not wait."""

    def pause(self) -> float:
        return 0.001


def test_a_thread_that_dies_fails_its_own_callers_and_the_lane_goes_on() -> None:
    async def work() -> None:
        faults: list[str] = []
        async with started(DiesOn(13), faulted=faults.append) as batcher:
            assert await outcomes(batcher, 1, 13, 2) == [2, WorkerDied, 4]
            assert batcher.alive
        assert faults == ["died"]

    run(work)


def test_a_lane_that_dies_again_and_again_makes_longer_and_longer_pauses() -> None:
    now = 0.0
    backoff = Backoff(lambda: now)
    assert [backoff.pause() for _ in range(9)] == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    now = 10_000.0
    assert backoff.pause() == 0


def test_while_the_only_lane_pauses_callers_are_told_at_once() -> None:
    async def work() -> None:
        async with started(DiesOn(13)) as batcher:
            assert await outcomes(batcher, 13) == [WorkerDied]
            assert await outcomes(batcher, 13) == [WorkerDied]
            await until(lambda: not batcher.alive)
            assert await outcomes(batcher, 1) == [WorkerDied]
            await until(lambda: batcher.alive)
            assert await outcomes(batcher, 1) == [2]

    run(work)


def test_beside_a_lane_that_pauses_the_others_answer() -> None:
    async def work() -> None:
        async with started(DiesOn(13), lanes=2) as batcher:
            lanes = batcher._lanes._lanes
            while not any(lane.pausing for lane in lanes):  # three times at most
                assert await outcomes(batcher, 13) == [WorkerDied]
                await until(lambda: any(lane.pausing for lane in lanes) or not any(lane.fault for lane in lanes))
            assert await outcomes(batcher, *range(20, 40)) == [2 * each for each in range(20, 40)]
            assert batcher.alive

    run(work)


def test_a_lane_whose_task_ends_is_started_again() -> None:
    async def work() -> None:
        async with started(Doubler()) as batcher:
            next(task for task in asyncio.all_tasks() if task.get_name() == "lane-0").cancel()
            await asyncio.sleep(0)
            assert await outcomes(batcher, 1, 2) == [2, 4]

    run(work)


def test_one_failing_batch_renews_nothing_and_several_in_a_row_do() -> None:
    async def work() -> None:
        renewed = []
        async with started(FailsOn(13), renew=lambda: renewed.append(1)) as batcher:
            assert await outcomes(batcher, 13, 1, 13, 13, 2) == [InferenceFailed, 2, *[InferenceFailed] * 2, 4]
            assert renewed == []
            assert await outcomes(batcher, 13, 13, 13) == [InferenceFailed] * 3
            await until(lambda: bool(renewed) and batcher.alive)
            assert await outcomes(batcher, 1) == [2]

    run(work)


def test_a_run_that_says_it_is_spent_is_renewed_and_its_callers_get_its_own_words() -> None:
    async def work() -> None:
        spent = SpentOn(13)
        async with started(spent, lanes=2, renew=spent.renew) as batcher:
            with pytest.raises(NotReady, match="out of breath"):
                await batcher.submit(13, LONG)
            assert await outcomes(batcher, 1, 2) == [2, 4]
            assert spent.renewals == 1

    run(work)


def test_a_renewal_that_fails_is_tried_again_and_nothing_runs_before_it_succeeds() -> None:
    async def work() -> None:
        spent = SpentOn(13, failing_renewals=1)
        async with started(spent, lanes=2, renew=spent.renew) as batcher:
            assert await outcomes(batcher, 13) == [NotReady]
            await until(lambda: not batcher.alive)
            await until(lambda: batcher.alive)
            assert spent.renewals == 2
            assert await outcomes(batcher, 1, 2) == [2, 4]

    run(work)


def test_stopping_does_not_wait_for_a_run_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        monkeypatch.setattr("service.batcher.STOP_SECONDS", 0.05)
        async with started(HangsOn(13), stuck_seconds=30) as batcher:
            tasks = [asyncio.create_task(batcher.submit(each, LONG)) for each in (13, 1)]
            await until(lambda: batcher.depth == 1)
            await batcher.stop()
            assert [type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)] == [WorkerDied] * 2

    run(work)
