"""Fronts' catalogues before the real engine, all in one loop; the test has the supervisor's part."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.app import own_parts
from service.errors import LoadFailed, NotReady, Overloaded, UnknownModel
from service.intake import Intake
from service.metrics import Metrics
from service.priorities import Urgency
from service.processes.board import Board
from service.processes.catalogue import RemoteCatalogue
from service.processes.engine import Engine
from service.processes.post import Message, Post
from service.settings import Settings
from tests.bundles import NAME, write_bundle
from tests.explainable import write_explainable_bundle
from tests.loop import run
from tests.pictures import png


class House:
    """An engine and two fronts; whenever the engine offers something, each front gets a link."""

    def __init__(self, models: Path, **options: Any) -> None:
        self.settings = Settings(models=models, provider="cpu", **options)
        ours, theirs = socket.socketpair()
        self.post, self.engines_post = Post(ours), Post(theirs)
        self.engine = Engine(self.settings, self.engines_post)
        self.intakes = [Intake(1000, 5, 5) for _ in range(2)]
        board = Board.new(2)
        self.fronts = [
            RemoteCatalogue(self.settings, Metrics(), Board(board.descriptor, 2, place), self.intakes[place].all_left)
            for place in range(2)
        ]
        self.said: list[Message] = []
        self.lost = asyncio.Event()
        self.linking: list[asyncio.Task[None]] = []

    def heard(self, message: Message, _: list[int]) -> None:
        if "report" not in message:
            self.said.append(message)
            for front in self.fronts:
                self.link(front)

    def link(self, front: RemoteCatalogue) -> None:
        one, other = socket.socketpair()
        with one:
            self.post.send({"link": len(self.linking) + 1}, one.fileno())
        self.linking.append(asyncio.create_task(front.adopt(other, self.lost.set)))


@asynccontextmanager
async def house(models: Path, **options: Any) -> AsyncIterator[House]:
    started = House(models, **options)
    started.post.listen(started.heard, lambda: None)
    running = asyncio.create_task(started.engine.run())
    await asyncio.gather(*(front.start() for front in started.fronts))
    yield started
    await asyncio.gather(*started.linking)
    for front in started.fronts:
        assert front._link
        front._link.retire()
    started.post.close()
    await running
    started.engines_post.close()
    await asyncio.gather(*(front.stop() for front in started.fronts))


async def answer(front: RemoteCatalogue, seed: int = 1) -> tuple[int, list[float]]:
    predictor = front.predictor()
    return predictor.card.version, list((await predictor.predict(png(seed))).probabilities.values())


def test_a_fronts_answers_are_those_of_one_process(models: Path) -> None:
    async def work() -> None:
        alone = own_parts(Settings(models=models, provider="cpu")).catalogue
        await alone.start()
        async with house(models) as started:
            for seed in range(5):
                here = await alone.predictor().predict(png(seed))
                there = await started.fronts[seed % 2].predictor().predict(png(seed))
                assert there.probabilities == pytest.approx(here.probabilities, abs=1e-6)
            assert [front.default for front in started.fronts] == [alone.default] * 2
        await alone.stop()

    run(work)


def test_a_lost_link_is_said_and_a_new_one_answers_again(models: Path) -> None:
    async def work() -> None:
        async with house(models) as started:
            front = started.fronts[0]
            for serving in started.engine._servings:
                serving.close()
            await started.lost.wait()
            assert "is being started" in (front.fault() or "")
            with pytest.raises(NotReady):
                front.predictor()
            for each in started.fronts:
                started.link(each)
            await asyncio.gather(*started.linking)
            assert front.fault() is None
            assert (await answer(front))[0] == 1

    run(work)


def test_a_version_loaded_through_one_front_answers_at_all_before_that_is_said(models: Path) -> None:
    async def work() -> None:
        async with house(models) as started:
            write_bundle(models, version=2, seed=2)
            assert (await started.fronts[0].load(NAME)).version == 2
            assert [(await answer(front))[0] for front in started.fronts] == [2, 2]
            await started.fronts[1].unload(NAME, 2)
            assert [(await answer(front))[0] for front in started.fronts] == [1, 1]
            assert [front.find(NAME, 2).state for front in started.fronts] == ["unloaded"] * 2
            assert started.said[-1]["listed"] == {
                "bundles": [[NAME, 1, "ready"], [NAME, 2, "unloaded"]],
                "default_model": NAME,
            }

    run(work)


def test_a_version_that_cannot_be_loaded_is_said_why_and_the_old_one_goes_on(models: Path) -> None:
    async def work() -> None:
        async with house(models) as started:
            (write_bundle(models, version=2) / "golden.npz").unlink()
            with pytest.raises(LoadFailed, match=r"golden.npz is missing"):
                await started.fronts[0].load(NAME, 2)
            with pytest.raises(UnknownModel):
                await started.fronts[1].load("nobody")
            assert [front.find(NAME, 2).state for front in started.fronts] == ["failed"] * 2
            assert [(await answer(front))[0] for front in started.fronts] == [1, 1]

    run(work)


def test_who_was_there_first_is_answered_by_the_files_of_then_though_the_version_is_loaded_anew(models: Path) -> None:
    async def work() -> None:
        async with house(models) as started:
            front = started.fronts[1]
            (_, before), old = await answer(front), front.predictor()
            with started.intakes[1].visit():
                shutil.rmtree(models / NAME)
                write_bundle(models, seed=7)
                await started.fronts[0].load(NAME, 1)
                (_, after) = await answer(front)
                assert after != pytest.approx(before, abs=1e-3)
                assert front.predictor().card != old.card
                for _ in range(3):
                    given = list((await old.predict(png(1))).probabilities.values())
                    assert given == pytest.approx(before, abs=1e-6)
                    await asyncio.sleep(0.06)
                assert old.ready
                assert len(started.engine._catalogue._leaving) == 1
            async with asyncio.timeout(15):
                while started.engine._catalogue._leaving:  # noqa: ASYNC110 - what is waited for has no event
                    await asyncio.sleep(0.01)
            assert not old.ready

    run(work)


def test_what_all_fronts_let_in_is_counted_together_and_stat_has_places_beyond_it(models: Path) -> None:
    async def work() -> None:
        async with house(models, max_queue_size=8) as started:
            one, other = (front.predictor() for front in started.fronts)
            one._admitted.own, other._admitted.own = 5, one.permits - 5
            for predictor in (one, other):
                with pytest.raises(Overloaded):
                    predictor.refuse_if_full()
                predictor.refuse_if_full("stat")
                assert (await predictor.predict(png(1), Urgency("stat"))).label
            other._admitted.own += 1
            with pytest.raises(Overloaded):
                one.refuse_if_full("stat")
            write_bundle(models, "a-new-one")
            await started.fronts[0].load("a-new-one")
            await started.fronts[0].unload(NAME)
            started.fronts[1].predictor("a-new-one").refuse_if_full()
            await started.fronts[0].load(NAME)
            with pytest.raises(Overloaded):
                started.fronts[1].predictor(NAME).refuse_if_full()

    run(work)


def test_the_default_is_every_fronts_and_stays_when_it_is_unloaded(models: Path) -> None:
    async def work() -> None:
        async with house(models) as started:
            write_bundle(models, "another")
            await started.fronts[0].load("another")
            await started.fronts[1].unload(NAME)
            for front in started.fronts:
                assert front.default == NAME
                assert "does not serve" in (front.fault() or "")
                assert front.predictor("another").card.name == "another"

    run(work)


def test_what_no_longer_explains_leaves_no_gauge_at_a_front(models: Path) -> None:
    async def work() -> None:
        write_explainable_bundle(models, "explains")
        async with house(models) as started:
            front = started.fronts[0]
            assert b"neurotriage_explain_ready{" in front._metrics.render()
            shutil.rmtree(models / "explains")
            write_bundle(models, "explains")
            await front.load("explains")
            told = front._metrics.render()
            assert b"neurotriage_explain_ready{" not in told
            assert b'neurotriage_queue_depth{model="explains"' in told

    run(work)
