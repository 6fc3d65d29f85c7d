import asyncio
import random
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from service.batcher import Batcher
from service.errors import DeadlineExceeded, InferenceFailed, NotReady, Overloaded, WorkerDied
from service.waiting import Answer
from tests.fakes import Doubler, FailsOn, Gate, Slow
from tests.loop import run

LONG = 10.0


@asynccontextmanager
async def started(work: Callable[[Sequence[int]], Sequence[int]], **options: Any) -> AsyncIterator[Batcher[int, int]]:
    batcher: Batcher[int, int] = Batcher(work, **options)
    await batcher.start()
    try:
        yield batcher
    finally:
        if isinstance(work, Gate):
            work.open()
        await batcher.stop()


async def entered(gate: Gate, times: int = 1) -> None:
    for _ in range(times):
        assert await asyncio.to_thread(gate.entered.acquire, timeout=10)


def submit(batcher: Batcher[int, int], *payloads: int) -> list[asyncio.Task[Answer[int]]]:
    return [asyncio.create_task(batcher.submit(payload, LONG)) for payload in payloads]


def test_every_caller_gets_its_own_answer() -> None:
    async def work() -> None:
        payloads = random.sample(range(10**6), 500)
        async with started(Slow(), lanes=3, max_batch_size=7, max_queue_size=500) as batcher:
            answers = await asyncio.gather(*submit(batcher, *payloads))
        assert [answer.result for answer in answers] == [2 * payload for payload in payloads]

    run(work)


def test_what_gathers_behind_a_running_batch_becomes_one_batch() -> None:
    async def work() -> None:
        gate = Gate()
        async with started(gate, max_batch_size=4) as batcher:
            first = submit(batcher, 1)
            await entered(gate)
            rest = submit(batcher, 2, 3, 4, 5, 6)
            await asyncio.sleep(0)
            gate.open()
            answers = await asyncio.gather(*first, *rest)
        assert gate.batches == [[1], [2, 3, 4, 5], [6]]
        assert [answer.batch_size for answer in answers] == [1, 4, 4, 4, 4, 1]

    run(work)


def test_nothing_of_a_batch_is_kept_while_the_next_one_runs() -> None:
    class Heavy:
        pass

    async def work() -> None:
        entered, go_on = threading.Semaphore(0), threading.Semaphore(0)

        def run_slowly(payloads: Sequence[Heavy]) -> list[int]:
            entered.release()
            assert go_on.acquire(timeout=15)
            return [0] * len(payloads)

        batcher: Batcher[Heavy, int] = Batcher(run_slowly, max_batch_size=1)
        await batcher.start()
        payloads = [Heavy(), Heavy()]
        first, second = (asyncio.create_task(batcher.submit(each, LONG)) for each in payloads)
        kept = weakref.ref(payloads[0])
        payloads.clear()
        go_on.release()
        await first
        for _ in range(2):
            assert await asyncio.to_thread(entered.acquire, timeout=10)
        await asyncio.sleep(0)
        assert kept() is None
        go_on.release()
        await second
        await batcher.stop()

    run(work)


def test_a_queue_delay_waits_for_company() -> None:
    async def work() -> None:
        doubler = Doubler()
        async with started(doubler, max_batch_size=3, max_queue_delay_ms=5000) as batcher:
            tasks = submit(batcher, 1)
            await asyncio.sleep(0.02)
            await asyncio.gather(*tasks, *submit(batcher, 2, 3))
        assert doubler.batches == [[1, 2, 3]]

    run(work)


def test_a_queue_delay_ends() -> None:
    async def work() -> None:
        async with started(Doubler(), max_batch_size=3, max_queue_delay_ms=20, lanes=2) as batcher:
            answer = await batcher.submit(1, LONG)
        assert (answer.result, answer.batch_size) == (2, 1)

    run(work)


def test_a_full_queue_refuses_at_once() -> None:
    async def work() -> None:
        gate = Gate()
        async with started(gate, max_batch_size=1, max_queue_size=2) as batcher:
            running = submit(batcher, 1)
            await entered(gate)
            waiting = submit(batcher, 2, 3)
            await asyncio.sleep(0)
            assert batcher.depth == 2
            with pytest.raises(Overloaded):
                await batcher.submit(4, LONG)
            gate.open()
            assert [(await task).result for task in [*running, *waiting]] == [2, 4, 6]

    run(work)


def test_a_caller_that_leaves_is_never_computed_and_frees_its_place() -> None:
    async def work() -> None:
        gate = Gate()
        async with started(gate, max_batch_size=4, max_queue_size=2) as batcher:
            running = submit(batcher, 1)
            await entered(gate)
            leaving, staying = submit(batcher, 2, 3)
            await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            late = submit(batcher, 4)
            await asyncio.sleep(0)
            gate.open()
            assert [(await task).result for task in [*running, staying, *late]] == [2, 6, 8]
        assert gate.batches == [[1], [3, 4]]

    run(work)


def test_a_deadline_is_kept_while_waiting_and_the_entry_is_not_computed() -> None:
    async def work() -> None:
        gate = Gate()
        async with started(gate, max_batch_size=1) as batcher:
            running = submit(batcher, 1)
            await entered(gate)
            with pytest.raises(DeadlineExceeded):
                await batcher.submit(2, 0.02)
            assert batcher.depth == 0
            gate.open()
            await asyncio.gather(*running)
        assert gate.batches == [[1]]

    run(work)


def test_a_deadline_that_has_passed_before_is_no_negative_time() -> None:
    async def work() -> None:
        async with started(Gate()) as batcher:
            with pytest.raises(DeadlineExceeded, match=r"^no answer within 0 ms$"):
                await batcher.submit(1, -0.02)

    run(work)


def test_a_deadline_is_kept_while_running_and_the_lane_goes_on() -> None:
    async def work() -> None:
        gate = Gate()
        async with started(gate) as batcher:
            with pytest.raises(DeadlineExceeded):
                await batcher.submit(1, 0.02)
            gate.open()
            assert (await batcher.submit(2, LONG)).result == 4

    run(work)


def test_a_failing_batch_fails_its_own_callers_only() -> None:
    async def work() -> None:
        async with started(FailsOn(3), max_batch_size=1) as batcher:
            outcomes = await asyncio.gather(*submit(batcher, 1, 2, 3, 4), return_exceptions=True)
            assert batcher.alive
        failed = outcomes.pop(2)
        assert isinstance(failed, InferenceFailed)
        assert isinstance(failed.__cause__, RuntimeError)
        assert [answer.result for answer in outcomes if isinstance(answer, Answer)] == [2, 4, 8]

    run(work)


def test_each_caller_of_a_failed_batch_gets_an_error_of_its_own() -> None:
    async def work() -> None:
        async with started(FailsOn(1), max_batch_size=2, max_queue_delay_ms=5000) as batcher:
            first, second = await asyncio.gather(*submit(batcher, 1, 2), return_exceptions=True)
        assert isinstance(first, InferenceFailed)
        assert isinstance(second, InferenceFailed)
        assert first is not second

    run(work)


def test_too_few_results_fail_the_batch_rather_than_shift_the_answers() -> None:
    async def work() -> None:
        async with started(lambda payloads: list(payloads)[1:], max_batch_size=2, max_queue_delay_ms=5000) as batcher:
            outcomes = await asyncio.gather(*submit(batcher, 1, 2), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [InferenceFailed, InferenceFailed]

    run(work)


def test_a_dead_lane_fails_its_own_callers_and_the_next_ones_are_answered() -> None:
    async def work() -> None:
        gate = Gate()
        async with started(gate, max_batch_size=1) as batcher:
            tasks = submit(batcher, 1, 2)
            await entered(gate)
            assert batcher.alive
            next(task for task in asyncio.all_tasks() if task.get_name() == "lane-0").cancel()
            await entered(gate)
            gate.open()
            dead, answered = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(dead, WorkerDied)
            assert isinstance(answered, Answer)
            assert answered.result == 4
            assert batcher.alive

    run(work)


def test_stat_goes_first_and_shares_its_batch_with_routine() -> None:
    async def work() -> None:
        gate = Gate()
        async with started(gate, max_batch_size=3) as batcher:
            running = submit(batcher, 0)
            await entered(gate)
            routine = submit(batcher, 1, 2, 3)
            await asyncio.sleep(0)
            stat = [asyncio.create_task(batcher.submit(each, LONG, "stat")) for each in (8, 9)]
            await asyncio.sleep(0)
            gate.open()
            answers = await asyncio.gather(*running, *routine, *stat)
        assert gate.batches == [[0], [8, 9, 1], [2, 3]]
        assert [answer.result for answer in answers] == [0, 2, 4, 6, 16, 18]

    run(work)


def test_a_queue_full_of_routine_still_takes_stat() -> None:
    async def work() -> None:
        gate = Gate()
        async with started(gate, max_batch_size=1, max_queue_size=8) as batcher:
            running = submit(batcher, 0)
            await entered(gate)
            waiting = submit(batcher, *range(1, 9))
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await batcher.submit(8, LONG)
            stat = asyncio.create_task(batcher.submit(9, LONG, "stat"))
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await batcher.submit(10, LONG, "stat")
            gate.open()
            await asyncio.gather(*running, *waiting, stat)

    run(work)


def test_what_was_not_computed_is_told_by_its_reason() -> None:
    async def work() -> None:
        gate, skipped = Gate(), list[str]()
        async with started(gate, max_batch_size=1, skipped=skipped.append) as batcher:
            running = submit(batcher, 0)
            await entered(gate)
            with pytest.raises(DeadlineExceeded):
                await batcher.submit(1, 0.02)
            (leaving,) = submit(batcher, 2)
            await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            gate.open()
            await asyncio.gather(*running)
        assert skipped == ["late", "gone"]
        assert gate.batches == [[0]]

    run(work)


def test_a_deadline_that_passes_while_the_loop_is_busy_is_kept_all_the_same() -> None:
    async def work() -> None:
        gate, skipped = Gate(), list[str]()
        async with started(gate, max_batch_size=1, skipped=skipped.append) as batcher:
            running = submit(batcher, 0)
            await entered(gate)
            late = asyncio.create_task(batcher.submit(1, 0.05))
            await asyncio.sleep(0)
            opening = threading.Timer(0.07, gate.open)
            opening.start()
            end = time.perf_counter() + 0.1
            while time.perf_counter() < end:  # the loop cannot look at the clock meanwhile
                pass
            with pytest.raises(DeadlineExceeded):
                await late
            await asyncio.gather(*running)
        assert gate.batches == [[0]]
        assert skipped == ["late"]

    run(work)


def test_stopping_finishes_what_waits_and_refuses_what_comes() -> None:
    async def work() -> None:
        gate = Gate()
        async with started(gate, max_batch_size=1) as batcher:
            tasks = submit(batcher, 1, 2, 3)
            await entered(gate)
            stopping = asyncio.create_task(batcher.stop())
            await asyncio.sleep(0)
            assert not batcher.alive
            with pytest.raises(NotReady):
                await batcher.submit(4, LONG)
            gate.open()
            await stopping
            assert [(await task).result for task in tasks] == [2, 4, 6]

    run(work)


def test_a_last_lane_that_dies_while_stopping_leaves_nobody_waiting() -> None:
    async def work() -> None:
        gate = Gate()
        async with started(gate, max_batch_size=1) as batcher:
            tasks = submit(batcher, 1, 2)
            await entered(gate)
            stopping = asyncio.create_task(batcher.stop())
            await asyncio.sleep(0)
            next(task for task in asyncio.all_tasks() if task.get_name() == "lane-0").cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            await stopping
        assert [type(outcome) for outcome in outcomes] == [WorkerDied, WorkerDied]

    run(work)


def test_before_its_start_it_refuses() -> None:
    async def work() -> None:
        batcher: Batcher[int, int] = Batcher(Doubler())
        assert not batcher.alive
        with pytest.raises(NotReady):
            await batcher.submit(1, LONG)

    run(work)


def test_lanes_run_side_by_side() -> None:
    async def work() -> None:
        gate = Gate()
        async with started(gate, lanes=3, max_batch_size=1) as batcher:
            tasks = submit(batcher, 1, 2, 3, 4)
            await entered(gate, times=3)
            assert batcher.depth == 1
            gate.open()
            await asyncio.gather(*tasks)

    run(work)


def test_callers_that_come_and_go_at_random_never_get_anothers_answer() -> None:
    async def call(batcher: Batcher[int, int], payload: int) -> bool:
        await asyncio.sleep(random.random() / 20)
        try:
            answer = await batcher.submit(payload, random.choice([0.001, 0.01, LONG]))
        except (DeadlineExceeded, InferenceFailed, Overloaded):
            return False
        assert answer.result == 2 * payload
        return True

    async def work() -> None:
        async with started(FailsOn(13), lanes=2, max_batch_size=5, max_queue_delay_ms=1, max_queue_size=40) as batcher:
            tasks = [asyncio.create_task(call(batcher, payload)) for payload in range(600)]
            for task in random.sample(tasks, 100):
                await asyncio.sleep(0.0005)
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert not [each for each in outcomes if isinstance(each, Exception)]
            assert sum(each is True for each in outcomes) > 10
            assert (await batcher.submit(7, LONG)).result == 14
            assert batcher.depth == 0

    run(work)
