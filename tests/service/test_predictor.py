import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.contract.card import read_card
from service.contract.preprocess import Slice, preprocess
from service.contract.probabilities import probabilities
from service.errors import BlankImage, DeadlineExceeded, ImageTooLarge, NotAnImage, Overloaded, ServiceError
from service.metrics import Metrics
from service.predictor import Predictor
from service.session import CPU, Logits, Session, make_plan
from service.settings import Settings
from tests.bundles import CLASSES, NAME
from tests.loop import run
from tests.pictures import draw, encode, png


@asynccontextmanager
async def serving(models: Path, **options: Any) -> AsyncIterator[Predictor]:
    folder = models / NAME / "1"
    session = Session(folder / "model.onnx", make_plan(CPU, 2))
    with ThreadPoolExecutor(2) as decoders:
        predictor = Predictor(read_card(folder), session, decoders, Settings(**options), Metrics())
        await predictor.start()
        yield predictor
        await predictor.stop()


def test_the_answer_is_the_contracts_applied_to_the_graphs(models: Path) -> None:
    async def work() -> None:
        async with serving(models) as predictor:
            prediction = await predictor.predict(png(1))
        card = read_card(models / NAME / "1")
        session = Session(models / NAME / "1" / "model.onnx", make_plan(CPU, 1))
        expected = probabilities(session.run([preprocess(draw(1), card.input)]), card.temperature)[0]
        assert list(prediction.probabilities) == list(CLASSES)
        assert np.allclose(list(prediction.probabilities.values()), expected, atol=1e-6)
        assert prediction.label == CLASSES[int(expected.argmax())]
        assert prediction.tumor_probability == pytest.approx(1 - expected[2], abs=1e-6)
        assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-12)

    run(work)


def test_where_the_time_went_adds_up(models: Path) -> None:
    async def work() -> None:
        async with serving(models) as predictor:
            timing = (await predictor.predict(png(1))).timing
        assert min(timing.decode, timing.queue, timing.inference) >= 0
        assert timing.decode + timing.queue + timing.inference <= timing.total

    run(work)


def test_one_bad_picture_harms_no_other(models: Path) -> None:
    async def work() -> None:
        async with serving(models) as predictor:
            alone = [await predictor.predict(png(seed)) for seed in range(30)]
            contents = [png(seed) for seed in range(30)]
            contents[7:7] = [b"no picture"]
            outcomes = await predictor.predict_each(contents)
        assert isinstance(outcomes.pop(7), NotAnImage)
        assert [each.label for each in outcomes if not isinstance(each, ServiceError)] == [each.label for each in alone]

    run(work)


def test_a_fault_of_ours_in_one_picture_harms_no_other(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = Predictor.prepare

    def fail_on_the_second(self: Predictor, content: bytes) -> Slice:
        if content == png(2):
            raise KeyError("a fault of ours")
        return prepare(self, content)

    async def work() -> None:
        async with serving(models) as predictor:
            monkeypatch.setattr(Predictor, "prepare", fail_on_the_second)
            first, second, third = await predictor.predict_each([png(1), png(2), png(3)])
        assert type(second) is ServiceError
        assert not isinstance(first, ServiceError)
        assert not isinstance(third, ServiceError)

    run(work)


@pytest.mark.parametrize("decode_threads", [None, 1])
def test_who_decodes_changes_no_answer(models: Path, decode_threads: int | None) -> None:
    async def work() -> None:
        async with serving(models, decode_threads=decode_threads) as predictor:
            outcomes = await predictor.predict_each([png(1), b"no picture", png(2), b"", png(3)])
            alone = [await predictor.predict(png(seed)) for seed in (1, 2, 3)]
        assert [type(each).__name__ for each in outcomes] == [
            "Prediction", "NotAnImage", "Prediction", "EmptyImage", "Prediction",
        ]  # fmt: skip
        for answer, expected in zip(outcomes[::2], alone, strict=True):
            assert not isinstance(answer, ServiceError)
            assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-6)

    run(work)


class Watched(Session):
    """A session that remembers how many slices it was asked for, and how."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, make_plan(CPU, 2))
        self.asked: list[tuple[str, int]] = []

    def run(self, slices: Sequence[Slice]) -> Logits:
        self.asked.append(("run", len(slices)))
        return super().run(slices)

    def run_alone(self, slices: Sequence[Slice]) -> Logits:
        self.asked.append(("run_alone", len(slices)))
        return super()._logits_of(self._session, slices)


def test_a_picture_alone_in_the_service_gets_every_core_and_others_a_lane(models: Path) -> None:
    folder = models / NAME / "1"
    session = Watched(folder / "model.onnx")

    async def work() -> None:
        with ThreadPoolExecutor(1) as decoders:
            predictor = Predictor(read_card(folder), session, decoders, Settings(), Metrics())
            await predictor.start()
            await predictor.predict(png(1))
            assert session.asked == [("run_alone", 1)]
            await predictor.predict_each([png(seed) for seed in range(6)])
            await predictor.stop()
        assert sum(count for _, count in session.asked) == 7
        assert any(way == "run" for way, _ in session.asked)

    run(work)


def test_a_batch_without_a_readable_picture_runs_nothing(models: Path) -> None:
    folder = models / NAME / "1"
    session = Watched(folder / "model.onnx")

    async def work() -> None:
        with ThreadPoolExecutor(1) as decoders:
            predictor = Predictor(read_card(folder), session, decoders, Settings(), Metrics())
            await predictor.start()
            with pytest.raises(NotAnImage):
                await predictor.predict(b"no picture")
            await predictor.stop()
        assert session.asked == []

    run(work)


def test_a_batch_alone_never_overloads_the_queue(models: Path) -> None:
    async def work() -> None:
        async with serving(models, max_queue_size=2) as predictor:
            outcomes = await predictor.predict_each([png(seed) for seed in range(40)])
        assert [each for each in outcomes if isinstance(each, ServiceError)] == []

    run(work)


def test_a_blank_picture_is_refused(models: Path) -> None:
    async def work() -> None:
        async with serving(models) as predictor:
            for level in (0, 200):
                with pytest.raises(BlankImage):
                    await predictor.predict(encode(Image.new("L", (64, 64), level)))

    run(work)


def test_the_pixel_limit_is_the_settings(models: Path) -> None:
    async def work() -> None:
        async with serving(models, max_pixels=1000) as predictor:
            with pytest.raises(ImageTooLarge):
                await predictor.predict(png(1))

    run(work)


def test_beyond_its_permits_it_refuses_before_decoding(models: Path) -> None:
    async def work() -> None:
        async with serving(models, max_queue_size=1) as predictor:
            permits = 1 + predictor.plan.lanes * predictor.plan.max_batch_size
            calls = [predictor.predict(png(seed)) for seed in range(permits + 5)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert sum(isinstance(each, Overloaded) for each in outcomes) >= 5
            assert (await predictor.predict(png(1))).label

    run(work)


def test_a_deadline_that_passes_is_a_named_error(models: Path) -> None:
    async def work() -> None:
        async with serving(models, deadline_ms=0.001) as predictor:
            with pytest.raises(DeadlineExceeded):
                await predictor.predict(png(1))

    run(work)
