import asyncio
import gc
import json
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service import explainer as explainer_module
from service.contract.cam import METHODS
from service.contract.card import read_card
from service.contract.geometry import box_of, peak_of, to_picture
from service.contract.preprocess import content_square, preprocess
from service.errors import (
    BlankImage,
    DeadlineExceeded,
    ImageTooLarge,
    InferenceFailed,
    NoRoom,
    NotAnImage,
    NotOffered,
    Overloaded,
    ServiceError,
)
from service.explain_session import ExplainSession, Gradients, Question
from service.explainer import Explainer
from service.explanation import ALL, Wish
from service.metrics import Metrics
from service.session import CPU, make_plan
from service.settings import Settings
from tests.bundles import CLASSES, NAME
from tests.explainable import COARSE, FINE, answers, draw_weights, gradients, write_explainable_bundle
from tests.loop import run
from tests.pictures import draw, encode, png

WISH = Wish(None, "gradcam", COARSE)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_explainable_bundle(tmp_path)
    return tmp_path


@asynccontextmanager
async def serving(
    models: Path, kind: type[ExplainSession] = ExplainSession, batch: int = 3, **options: Any
) -> AsyncIterator[Explainer]:
    folder = models / NAME / "1"
    card = read_card(folder)
    assert card.explain is not None
    plan = make_plan(CPU, 1, max_batch_size=batch)
    sessions = {layer: kind(folder / file, plan, layer) for layer, file in card.explain.layers.items()}
    with ThreadPoolExecutor(1) as threads:
        explainer = Explainer(
            card, card.explain, sessions, threads=threads, settings=Settings(**options), metrics=Metrics()
        )
        await explainer.start()
        yield explainer
        await explainer.stop()


class Broken(ExplainSession):
    """Its logits are right, its activations are not numbers."""

    def explain(self, questions: Sequence[Question]) -> list[Gradients]:
        return [each._replace(activations=each.activations * np.nan) for each in super().explain(questions)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("layer", [COARSE, FINE])
def test_an_explanation_is_the_contracts_formula_on_the_closed_form(models: Path, method: str, layer: str) -> None:
    picture = draw(1, 90, 70)

    async def work() -> None:
        async with serving(models) as explainer:
            explained = await explainer.explain(encode(picture), Wish("meningioma", method, layer))
            pixels = preprocess(picture, explainer.card.input)
        forward, backward = answers(pixels, draw_weights()), gradients(pixels, draw_weights(), 1)
        cam = METHODS[method](forward[layer], backward[layer])
        heatmap = to_picture(cam, content_square(picture), 90, 70)
        (explanation,) = explained.explanations
        assert (explanation.target, explanation.method, explanation.layer) == ("meningioma", method, layer)
        assert json.loads(explanation.heatmap) == pytest.approx(heatmap, abs=0.0011)
        assert explanation.evidence == heatmap.any()
        assert explanation.peak == pytest.approx(peak_of(heatmap), abs=1)
        assert explanation.box == pytest.approx(box_of(heatmap), abs=1)

    run(work)


def test_all_targets_come_in_the_cards_order_and_never_crowd_the_queue(models: Path) -> None:
    async def work() -> None:
        async with serving(models, batch=3, explain_max_pictures=1) as explainer:
            together = (await explainer.explain(png(2), Wish(ALL, "hirescam", FINE))).explanations
            alone = [(await explainer.explain(png(2), Wish(each, "hirescam", FINE))).explanations for each in CLASSES]
        assert [each.target for each in together] == list(CLASSES)
        for each, (by_itself,) in zip(together, alone, strict=True):
            assert np.allclose(json.loads(each.heatmap), json.loads(by_itself.heatmap), atol=0.0011)

    run(work)


def test_without_a_target_the_predicted_class_is_explained(models: Path) -> None:
    async def work() -> None:
        async with serving(models) as explainer:
            explained = [await explainer.explain(png(seed), WISH) for seed in range(12)]
        labels = [each.prediction.label for each in explained]
        assert [each.explanations[0].target for each in explained] == labels
        assert len(set(labels)) > 1

    run(work)


@pytest.mark.parametrize(
    ("wish", "offered"),
    [
        (Wish("stroke", "gradcam", COARSE), [*CLASSES, "all"]),
        (Wish(None, "magic", COARSE), list(METHODS)),
        (Wish(None, "gradcam", "stem"), [COARSE, FINE]),
        (Wish(None, "gradcam", COARSE, "rainbow"), ["viridis", "magma", "turbo", "jet"]),
    ],
)
def test_what_is_not_offered_is_refused_with_what_is(models: Path, wish: Wish, offered: list[str]) -> None:
    async def work() -> None:
        async with serving(models) as explainer:
            with pytest.raises(NotOffered) as refused:
                await explainer.explain(b"never decoded", wish)
        assert refused.value.extensions["offered"] == offered

    run(work)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"text", NotAnImage),
        (encode(Image.new("L", (64, 64), 7)), BlankImage),
        (encode(draw(1, 300, 300)), ImageTooLarge),
    ],
)
def test_a_picture_that_cannot_be_explained_is_a_named_refusal(
    models: Path, content: bytes, error: type[ServiceError]
) -> None:
    async def work() -> None:
        async with serving(models, explain_max_pixels=80_000) as explainer:
            with pytest.raises(error):
                await explainer.explain(content, WISH)
            assert (await explainer.explain(png(1), WISH)).explanations

    run(work)


def test_beyond_its_permits_it_refuses_at_once_and_goes_on(models: Path) -> None:
    async def work() -> None:
        async with serving(models, explain_max_pictures=3) as explainer:
            calls = [explainer.explain(png(seed), Wish(ALL, "gradcam", COARSE)) for seed in range(8)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert [isinstance(each, Overloaded) for each in outcomes] == [False] * 3 + [True] * 5
            assert (await explainer.explain(png(1), WISH)).explanations

    run(work)


def test_a_caller_that_leaves_gives_its_permit_back(models: Path) -> None:
    async def work() -> None:
        async with serving(models, explain_max_pictures=1) as explainer:
            leaver = asyncio.create_task(explainer.explain(png(1), WISH))
            await asyncio.sleep(0)
            leaver.cancel()
            await asyncio.gather(leaver, return_exceptions=True)
            assert (await explainer.explain(png(1), WISH)).explanations

    run(work)


def test_a_picture_that_is_late_is_let_go_of_at_once(models: Path) -> None:
    async def work() -> None:
        async with serving(models, deadline_ms=0.001) as explainer:
            content = png(1)
            before = sys.getrefcount(content)
            assert isinstance(await fault_of(explainer.explain(content, WISH)), DeadlineExceeded)
            while sys.getrefcount(content) > before:  # noqa: ASYNC110 - its thread may still be at its end
                await asyncio.sleep(0.005)

    async def fault_of(asked: Coroutine[Any, Any, Any]) -> BaseException | None:
        asking = asyncio.create_task(asked)
        await asyncio.wait({asking})
        return asking.exception()

    gc.disable()
    try:
        run(work)
    finally:
        gc.enable()


def test_a_deadline_that_passes_is_a_named_error(models: Path) -> None:
    async def work() -> None:
        async with serving(models, deadline_ms=0.001) as explainer:
            with pytest.raises(DeadlineExceeded):
                await explainer.explain(png(1), WISH)

    run(work)


@pytest.mark.parametrize("step", ["see", "draw"])
def test_a_sound_picture_without_memory_to_explain_it_is_to_come_again(
    models: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def short_of_memory(*_: Any) -> None:
        raise MemoryError

    async def work() -> None:
        async with serving(models) as explainer:
            with monkeypatch.context() as patch:
                patch.setattr(explainer_module, step, short_of_memory)
                with pytest.raises(NoRoom):
                    await explainer.explain(encode(draw(1)), WISH)
            assert (await explainer.explain(encode(draw(1)), WISH)).explanations

    run(work)


def test_a_map_that_is_not_finite_is_not_shown(models: Path) -> None:
    async def work() -> None:
        async with serving(models, Broken) as explainer:
            with pytest.raises(InferenceFailed):
                await explainer.explain(png(1), WISH)

    run(work)


def test_explanations_that_share_their_batches_are_those_made_alone(models: Path) -> None:
    wishes = [
        (seed, Wish(target, "hirescam", layer)) for seed in range(5) for target in CLASSES for layer in (FINE, COARSE)
    ]

    async def work() -> None:
        async with serving(models, batch=4, explain_max_pictures=len(wishes)) as explainer:
            alone = [(await explainer.explain(png(seed), wish)).explanations[0].heatmap for seed, wish in wishes]
            calls = [explainer.explain(png(seed), wish) for seed, wish in wishes]
            together = [each.explanations[0].heatmap for each in await asyncio.gather(*calls)]
        for one, other in zip(together, alone, strict=True):
            assert np.allclose(json.loads(one), json.loads(other), atol=0.0011)
        assert len(set(alone)) > 20

    run(work)
