import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.app import explain_session_opener, own_parts, session_opener
from service.catalogue import Catalogue
from service.errors import NotReady, UnknownModel
from service.metrics import Metrics
from service.processes.board import Board
from service.processes.catalogue import RemoteCatalogue
from service.processes.engine import lanes_of
from service.processes.serving import Offer, Serving
from service.repository import Bundle, Repository
from service.settings import Settings
from tests.bundles import NAME
from tests.loop import run
from tests.pictures import png
from tests.service.processes.test_link import Means, picture, put_before, until


class Engine:
    """An engine without a process of its own, and links to it."""

    def __init__(self, models: Path, kind: type[Catalogue] = Catalogue) -> None:
        self.settings = Settings(models=models, provider="cpu")
        openers = session_opener(self.settings), explain_session_opener(self.settings)
        self.catalogue = kind(Repository(models, *openers), self.settings, Metrics())
        self.lost = asyncio.Event()
        self.number = 0
        self.linking: list[asyncio.Task[None]] = []
        self.servings: list[Serving] = []
        self.front = RemoteCatalogue(self.settings, Metrics(), Board.new(1))

    async def link(self) -> None:
        """Link the front anew."""
        offer = Offer(self.number, self.catalogue, lanes_of(self.catalogue), self.link_soon)
        ours, theirs = socket.socketpair()
        greeting = asyncio.create_task(Serving.over(theirs, len(self.servings), offer, lambda _: None))
        await self.front.adopt(ours, self.lost.set)
        self.servings.append(await greeting)

    async def link_soon(self) -> int:
        """Link the front anew, while it waits for this one's answer."""
        self.number += 1
        self.linking.append(asyncio.create_task(self.link()))
        return self.number


@asynccontextmanager
async def engine(models: Path, kind: type[Catalogue] = Catalogue) -> AsyncIterator[Engine]:
    started = Engine(models, kind)
    await started.catalogue.start()
    await started.link()
    yield started
    await asyncio.gather(*started.linking)
    for serving in started.servings:
        serving.close()
    await until(lambda: not any(serving.open for serving in started.servings))
    await asyncio.gather(started.catalogue.stop(), started.front.stop())


def test_a_fronts_answers_are_those_of_one_process(models: Path) -> None:
    async def work() -> None:
        alone = own_parts(Settings(models=models, provider="cpu")).catalogue
        await alone.start()
        async with engine(models) as started:
            for seed in range(5):
                here = await alone.predictor().predict(png(seed))
                there = await started.front.predictor().predict(png(seed))
                assert there.probabilities == pytest.approx(here.probabilities, abs=1e-6)
            assert started.front.default == alone.default
        await alone.stop()

    run(work)


def test_a_lost_link_is_said_and_a_new_one_answers_again(models: Path) -> None:
    async def work() -> None:
        async with engine(models) as started:
            started.servings[0].close()
            await started.lost.wait()
            assert "is being started" in (started.front.fault() or "")
            with pytest.raises(NotReady):
                started.front.predictor()
            await started.link()
            assert started.front.fault() is None
            assert (await started.front.predictor().predict(png(1))).label

    run(work)


def test_what_was_asked_over_the_old_link_is_answered_there(models: Path) -> None:
    async def work() -> None:
        async with engine(models) as started:
            means = Means()
            await put_before(started.catalogue, means)
            asked = asyncio.create_task(started.front.predictor().batcher.submit(picture(7), 15))
            await asyncio.to_thread(means.entered.acquire)
            await started.link()
            means.opened.set()
            assert (await asked).result[0] == picture(7).mean()
            await until(lambda: not started.servings[0].open)
            assert not started.lost.is_set()

    run(work)


class Unloads(Catalogue):
    """A catalogue that lets models go, and loads none."""

    async def unload(self, name: str, version: int | None = None) -> None:
        assert version is not None
        await self._predictors.pop((name, version)).stop()
        self.repository._bundles[name, version] = Bundle(name, version, reason="unloaded")

    async def load(self, name: str, version: int | None = None) -> Bundle:
        raise UnknownModel(f"{name} {version}")


def test_models_are_changed_for_the_front_before_it_says_so(models: Path) -> None:
    async def work() -> None:
        async with engine(models, Unloads) as started:
            with pytest.raises(UnknownModel, match="other 3"):
                await started.front.load("other", 3)
            await started.front.unload(NAME, 1)
            assert started.front.find(NAME, 1).reason == "unloaded"
            with pytest.raises(NotReady, match="does not serve"):
                started.front.predictor()

    run(work)
