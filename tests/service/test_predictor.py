import asyncio
import gc
import os
import sys
import threading
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.contract.card import read_card
from service.contract.preprocess import Slice, preprocess
from service.contract.probabilities import probabilities
from service.errors import BlankImage, DeadlineExceeded, ImageTooLarge, NotAnImage, Overloaded, ServiceError
from service.inference import Inference
from service.metrics import Metrics
from service.predictor import Predictor
from service.priorities import Urgency
from service.session import CPU, Session, make_plan
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


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no nice of its own")
@pytest.mark.parametrize("wished", [0, 7])
def test_lanes_have_the_nice_that_the_settings_wish(models: Path, wished: int) -> None:
    def nices() -> list[int]:
        lanes = [thread for thread in threading.enumerate() if thread.name.startswith("lane")]
        return [os.getpriority(os.PRIO_PROCESS, lane.native_id or 0) for lane in lanes]

    async def work() -> None:
        async with serving(models, lanes_nice=wished) as predictor:
            await asyncio.gather(*(predictor.predict(png(seed)) for seed in range(8)))
            found = nices()
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert found == [min(19, own + wished)] * predictor.plan.lanes

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
    prepare = Inference.prepare

    def fail_on_the_second(self: Inference, content: bytes) -> Slice:
        if content == png(2):
            raise KeyError("a fault of ours")
        return prepare(self, content)

    async def work() -> None:
        async with serving(models) as predictor:
            monkeypatch.setattr(Inference, "prepare", fail_on_the_second)
            first, second, third = await predictor.predict_each([png(1), png(2), png(3)])
        assert type(second) is ServiceError
        assert not isinstance(first, ServiceError)
        assert not isinstance(third, ServiceError)
        counted = predictor._metrics.render().decode()
        assert 'neurotriage_failures_total{model="tiny",problem="service-error",version="1"} 1.0' in counted

    run(work)


@pytest.mark.parametrize("decode_threads", [None, 1])
def test_who_decodes_changes_no_answer(models: Path, decode_threads: int | None) -> None:
    async def work() -> None:
        async with serving(models, decode_threads=decode_threads) as predictor:
            outcomes = await predictor.predict_each([png(1), b"no picture", png(2), b"", png(3)])
            alone = [await predictor.predict(png(seed)) for seed in (1, 2, 3)]
            counted = predictor._metrics.render().decode()
        waited = 0 if decode_threads is None else 8
        assert f'stage_seconds_count{{model="{NAME}",stage="decoder_queue",version="1"}} {waited:.1f}\n' in counted
        assert [type(each).__name__ for each in outcomes] == [
            "Prediction", "NotAnImage", "Prediction", "EmptyImage", "Prediction",
        ]  # fmt: skip
        for answer, expected in zip(outcomes[::2], alone, strict=True):
            assert not isinstance(answer, ServiceError)
            assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-6)
            assert answer.timing.decode > 0

    run(work)


@pytest.mark.parametrize("content", [b"no picture", png(1)[:-100]])
def test_a_refused_picture_is_let_go_of_at_once(models: Path, content: bytes) -> None:
    async def work() -> None:
        async with serving(models) as predictor:
            before = sys.getrefcount(content)
            with suppress(ServiceError):
                await predictor.predict(content)
            while sys.getrefcount(content) > before:  # noqa: ASYNC110 - its lane may still be at its end
                await asyncio.sleep(0.005)

    gc.disable()
    try:
        run(work)
    finally:
        gc.enable()


@pytest.mark.parametrize("decode_threads", [None, 1])
@pytest.mark.parametrize("leaves", [False, True])
def test_a_picture_that_is_late_or_whose_caller_leaves_is_let_go_of_at_once(
    models: Path, leaves: bool, decode_threads: int | None
) -> None:
    async def work() -> None:
        options = {"decode_threads": decode_threads} | ({} if leaves else {"deadline_ms": 0.001})
        async with serving(models, **options) as predictor:
            content = png(1)
            before = sys.getrefcount(content)
            for ask in (lambda: predictor.predict(content), lambda: predictor.predict_each([content, content])):
                await end_of(ask(), leaves)
            while sys.getrefcount(content) > before:  # noqa: ASYNC110 - its lane may still be at its end
                await asyncio.sleep(0.005)

    async def end_of(asked: Coroutine[Any, Any, Any], leaves: bool) -> None:
        asking = asyncio.create_task(asked)
        if leaves:
            await asyncio.sleep(0)
            asking.cancel()
        await asyncio.wait({asking})
        assert leaves == asking.cancelled()
        assert leaves or asking.exception() or asking.result()

    gc.disable()
    try:
        run(work)
    finally:
        gc.enable()


@pytest.mark.parametrize("size", [2, 8])
def test_a_batch_alone_never_overloads_the_queue(models: Path, size: int) -> None:
    async def work() -> None:
        async with serving(models, max_queue_size=size) as predictor:
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


def test_as_many_as_it_has_permits_for_may_come_at_once(models: Path) -> None:
    async def work() -> None:
        async with serving(models, max_queue_size=1) as predictor:
            outcomes = await asyncio.gather(*(predictor.predict(png(seed)) for seed in range(predictor.permits)))
        assert len(outcomes) == 1 + predictor.plan.lanes * predictor.plan.max_batch_size

    run(work)


def test_a_caller_that_leaves_is_counted(models: Path) -> None:
    async def work() -> None:
        async with serving(models) as predictor:
            leaving = asyncio.create_task(predictor.predict(png(1)))
            await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            counted = predictor._metrics.render().decode()
        assert 'neurotriage_failures_total{model="tiny",problem="client-gone",version="1"} 1.0' in counted

    run(work)


def test_stat_is_let_in_where_routine_is_refused(models: Path) -> None:
    async def work() -> None:
        async with serving(models, max_queue_size=8) as predictor:
            running = predictor.plan.lanes * predictor.plan.max_batch_size
            predictor._admitted.own = running + 8
            with pytest.raises(Overloaded):
                predictor.refuse_if_full()
            with pytest.raises(Overloaded):
                await predictor.predict(png(1))
            predictor.refuse_if_full("stat")
            assert (await predictor.predict(png(1), Urgency("stat"))).label
            predictor._admitted.own = running + 9
            with pytest.raises(Overloaded):
                predictor.refuse_if_full("stat")

    run(work)


def test_a_deadline_that_passes_is_a_named_error(models: Path) -> None:
    async def work() -> None:
        async with serving(models, deadline_ms=0.001) as predictor:
            with pytest.raises(DeadlineExceeded):
                await predictor.predict(png(1))

    run(work)
