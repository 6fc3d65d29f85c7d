import asyncio
import random
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.app import session_opener
from service.batcher import Batcher
from service.catalogue import Catalogue
from service.contract.preprocess import Slice
from service.errors import DeadlineExceeded, NotReady, Overloaded, ServiceError, UnknownModel, WorkerDied
from service.inference import Outcome, Picture
from service.memory import halved_at_need
from service.metrics import Metrics
from service.processes.link import Link
from service.processes.offer import offer_of
from service.processes.remote import RemoteBatcher, read_outcome, split_picture
from service.processes.serving import Serving
from service.repository import Repository
from service.session import OutOfMemory
from service.settings import Settings
from service.waiting import Answer
from tests.bundles import NAME, SIZE
from tests.loop import run

Remote = RemoteBatcher[Picture, Outcome]


class Means:
    """Answers every slice with its mean, once it is open; counts the slices it saw."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Semaphore(0)
        self.seen: list[float] = []

    def __call__(self, pictures: Sequence[Picture]) -> list[Outcome]:
        self.entered.release()
        assert self.opened.wait(15)
        means = [np.asarray(each).mean(keepdims=True).ravel() for each in pictures]
        self.seen += [float(mean[0]) for mean in means]
        return [Outcome(mean, 0.0, 0.0, len(means)) for mean in means]


@asynccontextmanager
async def linked(
    models: Path,
    means: Means | None = None,
    most: int = 1000,
    skipped: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> AsyncIterator[tuple[Link, Serving]]:
    """Both ends of a link, before the tiny model or before `means`."""
    settings = Settings(models=models, provider="cpu", **options)
    catalogue = Catalogue(Repository(models, session_opener(settings)), settings, Metrics())
    await catalogue.start()
    if means:
        await put_before(catalogue, means, most, skipped)
    ours, theirs = socket.socketpair()
    offer = offer_of(catalogue, {})
    greeting = asyncio.create_task(Serving.over(theirs, 7, offer, refuse, lambda _: None))
    link, serving = await Link.over(ours), await greeting
    yield link, serving
    if means:
        means.opened.set()
    serving.close()
    await until(lambda: not link.open)
    await catalogue.stop()


async def refuse(method: str, arguments: list[Any]) -> None:
    raise UnknownModel(f"{method} {arguments}")


async def put_before(
    catalogue: Catalogue, means: Means, most: int = 1000, skipped: Callable[[str], None] = lambda _: None
) -> None:
    predictor = catalogue.predictors[NAME, 1]
    await predictor.batcher.stop()
    predictor._batcher = Batcher(means, lanes=1, max_batch_size=1, max_queue_size=most, skipped=skipped)
    await predictor.batcher.start()


def remote(link: Link) -> Remote:
    return RemoteBatcher(link, 0, split_picture, read_outcome)


def picture(level: int) -> Slice:
    """A slice whose mean no other level has."""
    pixels = np.zeros(SIZE * SIZE, np.uint8)
    pixels[:level] = 200
    return pixels.reshape(SIZE, SIZE)


async def until(condition: Any) -> None:
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


def test_hundreds_of_pictures_get_their_own_answers_while_others_leave(models: Path) -> None:
    async def work() -> None:
        means = Means()
        means.opened.set()
        async with linked(models, means, max_queue_size=600) as (link, _):
            batcher = remote(link)
            levels = list(range(500))
            tasks = [asyncio.create_task(batcher.submit(picture(level), 15)) for level in levels]
            leaving = set(random.Random(3).sample(levels, 200))
            for level in leaving:
                await asyncio.sleep(0)
                tasks[level].cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            await until(lambda: len(link._free[0]) == link.lanes[0].shape.slots)
        for level, outcome in zip(levels, outcomes, strict=True):
            if isinstance(outcome, Answer):
                assert outcome.result.found == picture(level).mean()
            else:
                assert level in leaving
                assert isinstance(outcome, asyncio.CancelledError)

    run(work)


def test_a_caller_that_leaves_is_not_computed_and_its_slot_waits_for_the_engine(models: Path) -> None:
    async def work() -> None:
        means = Means()
        async with linked(models, means) as (link, _):
            slots, batcher = link.lanes[0].shape.slots, remote(link)
            first = asyncio.create_task(batcher.submit(picture(1), 15))
            await asyncio.to_thread(means.entered.acquire)
            leaver = asyncio.create_task(batcher.submit(picture(2), 15))
            await until(lambda: len(link._free[0]) == slots - 2)
            leaver.cancel()
            await until(lambda: len(link._free[0]) == slots - 1)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            means.opened.set()
            assert (await batcher.submit(picture(3), 15)).result.found == picture(3).mean()
            assert picture(2).mean() not in means.seen
            await until(lambda: len(link._free[0]) == slots)

    run(work)


def test_an_answer_to_a_slot_that_changed_hands_is_not_given(models: Path) -> None:
    async def work() -> None:
        means = Means()
        async with linked(models, means) as (link, _):
            asked = asyncio.create_task(remote(link).submit(picture(5), 15))
            await asyncio.to_thread(means.entered.acquire)
            (request,) = link._asked.values()
            link._slots[0].give(request.slot, request.identity + 1, picture(9))
            means.opened.set()
            with pytest.raises(ServiceError) as failed:
                await asked
            assert failed.value.status == 500

    run(work)


def test_an_engine_that_goes_fails_its_callers_and_no_others(models: Path) -> None:
    async def work() -> None:
        means = Means()
        async with linked(models, means) as (link, serving):
            asking = [asyncio.create_task(remote(link).submit(picture(level), 15)) for level in range(5)]
            await asyncio.to_thread(means.entered.acquire)
            serving.close()
            outcomes = await asyncio.gather(*asking, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {WorkerDied}
            assert (link.open, remote(link).alive) == (False, False)
            with pytest.raises(WorkerDied):
                await remote(link).submit(picture(1), 15)

    run(work)


def test_a_front_that_goes_is_not_computed_for(models: Path) -> None:
    async def work() -> None:
        means = Means()
        async with linked(models, means) as (link, serving):
            asking = [asyncio.create_task(remote(link).submit(picture(level), 15)) for level in range(1, 6)]
            await asyncio.to_thread(means.entered.acquire)
            await until(lambda: len(serving._tasks) == 5)
            assert link._lines is not None
            link._lines.close()
            await until(lambda: not serving._tasks)
            means.opened.set()
            await asyncio.gather(*asking, return_exceptions=True)
            await until(lambda: len(means.seen) == 1)

    run(work)


def test_a_deadline_passes_here_too_and_without_slots_the_queue_is_full(models: Path) -> None:
    async def work() -> None:
        means = Means()
        async with linked(models, means, max_queue_size=1, lanes=1, max_batch_size=1) as (link, _):
            with pytest.raises(DeadlineExceeded):
                await remote(link).submit(picture(1), 0.05)
            with pytest.raises(DeadlineExceeded, match=r"^no answer within 0 ms$"):
                await remote(link).submit(picture(1), -0.05)
            slots = link.lanes[0].shape.slots
            asking = [asyncio.create_task(remote(link).submit(picture(level), 15)) for level in range(slots)]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await remote(link).submit(picture(9), 15)
            means.opened.set()
            await asyncio.gather(*asking, return_exceptions=True)

    run(work)


def test_an_engines_refusal_arrives_as_itself(models: Path) -> None:
    async def work() -> None:
        async with linked(models) as (link, serving):
            await serving.offer.predictors[NAME, 1].stop()
            with pytest.raises(NotReady):
                await remote(link).submit(picture(1), 15)
            serving.tell_states()
            await until(lambda: not remote(link).alive)
            assert link.open

    run(work)


def test_an_engine_that_never_greets_is_no_link() -> None:
    async def work() -> None:
        ours, theirs = socket.socketpair()
        theirs.close()
        with pytest.raises(NotReady):
            await Link.over(ours)

    run(work)


def test_a_front_may_ask_for_changes_and_hears_why_they_are_refused(models: Path) -> None:
    async def work() -> None:
        async with linked(models) as (link, _):
            with pytest.raises(UnknownModel, match=r"load \['other', 3\]"):
                await link.call("load", "other", 3)

    run(work)


def test_stat_goes_first_also_where_routine_came_from_another_process(models: Path) -> None:
    async def work() -> None:
        means = Means()
        async with linked(models, means) as (link, serving):
            asking = [asyncio.create_task(remote(link).submit(picture(1), 15))]
            await asyncio.to_thread(means.entered.acquire)
            asking += [asyncio.create_task(remote(link).submit(picture(level), 15)) for level in (2, 3)]
            await until(lambda: serving.offer.states() == [(True, 2)])
            asking.append(asyncio.create_task(remote(link).submit(picture(4), 15, "stat")))
            await until(lambda: serving.offer.states() == [(True, 3)])
            means.opened.set()
            await asyncio.gather(*asking)
            assert means.seen == [picture(level).mean() for level in (1, 4, 2, 3)]

    run(work)


def test_places_are_kept_for_stat_over_all_processes(models: Path) -> None:
    async def work() -> None:
        means = Means()
        async with linked(models, means, most=8) as (link, serving):
            asking = [asyncio.create_task(remote(link).submit(picture(1), 15))]
            await asyncio.to_thread(means.entered.acquire)
            asking += [asyncio.create_task(remote(link).submit(picture(level), 15)) for level in range(2, 10)]
            await until(lambda: serving.offer.states() == [(True, 8)])
            with pytest.raises(Overloaded, match="8 slices are waiting"):
                await remote(link).submit(picture(11), 15)
            asking.append(asyncio.create_task(remote(link).submit(picture(10), 15, "stat")))
            await until(lambda: serving.offer.states() == [(True, 9)])
            means.opened.set()
            assert len(await asyncio.gather(*asking)) == 10

    run(work)


def test_a_deadline_is_the_same_moment_at_both_ends(models: Path) -> None:
    async def work() -> None:
        means, skipped = Means(), list[str]()
        async with linked(models, means, skipped=skipped.append) as (link, _):
            first = asyncio.create_task(remote(link).submit(picture(1), 15))
            await asyncio.to_thread(means.entered.acquire)
            with pytest.raises(DeadlineExceeded, match="within 50 ms"):
                await remote(link).submit(picture(2), 0.05)
            await until(lambda: skipped)
            means.opened.set()
            await first
            assert (skipped, means.seen) == (["late"], [picture(1).mean()])

    run(work)


def test_a_run_that_hangs_or_lacks_memory_is_told_to_fronts_as_what_it_is(models: Path) -> None:
    async def work() -> None:
        means = Means()
        async with linked(models, means) as (link, serving):
            predictor = serving.offer.predictors[NAME, 1]
            await predictor.batcher.stop()
            predictor._batcher = Batcher(means, stuck_seconds=0.1)
            await predictor.batcher.start()
            with pytest.raises(WorkerDied, match=r"did not end within 0.1 s"):
                await remote(link).submit(picture(1), 15)
            means.opened.set()
            await predictor.batcher.stop()
            predictor._batcher = Batcher(halved_at_need(hungry))
            await predictor.batcher.start()
            with pytest.raises(NotReady, match="ran out of memory") as refused:
                await remote(link).submit(picture(1), 15)
            assert refused.value.headers == {"Retry-After": "5"}

    run(work)


def hungry(_: Sequence[Picture]) -> list[Outcome]:
    raise OutOfMemory


def test_what_a_front_began_with_answers_it_until_the_end(models: Path) -> None:
    async def work() -> None:
        old = Means()
        old.opened.set()
        async with linked(models, old) as (link, serving):
            predictor = serving.offer.predictors[NAME, 1]
            (lane,) = link.lanes
            settings = Settings(models=models, provider="cpu")
            catalogue = Catalogue(Repository(models, session_opener(settings)), settings, Metrics())
            await catalogue.start()
            newer = offer_of(catalogue, {("predict", "another", 1): 0, ("predict", NAME, 1): lane.row})
            assert not serving.offer.of(catalogue)
            assert newer.of(catalogue)
            assert newer.lanes[0].row == lane.row
            link.resign()
            await until(lambda: serving.resigned)
            assert (await remote(link).submit(picture(3), 15)).result.found == picture(3).mean()
            assert predictor.ready
            link.retire()
            await until(lambda: not link.open)
            await catalogue.stop()

    run(work)
