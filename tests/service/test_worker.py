import asyncio
import threading

import pytest

from service.worker import Worker, WorkerLost
from tests.loop import run


def end_thread() -> None:
    raise SystemExit


def test_calls_are_made_in_its_thread_one_after_another() -> None:
    async def work() -> None:
        worker = Worker("w")
        results = await asyncio.gather(
            *(worker.call(lambda n=n: (n, threading.current_thread().name)) for n in range(50))
        )
        assert results == [(n, "w") for n in range(50)]
        worker.dismiss()

    run(work)


def test_an_exception_is_the_callers_and_the_thread_goes_on() -> None:
    async def work() -> None:
        worker = Worker("w")
        with pytest.raises(ValueError, match="invalid literal"):
            await worker.call(int, "x")
        assert await worker.call(int, "7") == 7
        worker.dismiss()

    run(work)


def test_a_thread_that_dies_tells_its_caller() -> None:
    async def work() -> None:
        worker = Worker("w")
        with pytest.raises(WorkerLost, match="SystemExit"):
            await worker.call(end_thread)

    run(work)


def test_a_thread_that_cannot_begin_tells_its_first_caller() -> None:
    def fail() -> None:
        raise OSError

    async def work() -> None:
        with pytest.raises(WorkerLost, match="OSError"):
            await Worker("w", begin=fail).call(int, "7")

    run(work)


def test_dismissed_it_ends_once_its_call_does() -> None:
    async def work() -> None:
        opened = threading.Event()
        worker = Worker("w")
        waiting = worker.call(opened.wait, 15)
        worker.dismiss()
        assert worker.alive
        opened.set()
        assert await waiting
        await asyncio.to_thread(worker._thread.join, 10)
        assert not worker.alive

    run(work)
