from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from service.contract.card import read_card
from service.errors import NotAnImage, NotReady
from service.inference import STAGES, Inference
from service.metrics import Metrics
from service.session import CPU, Logits, OutOfMemory, Session, Slice, make_plan
from service.settings import Settings
from tests.bundles import NAME
from tests.pictures import png


class Watched(Session):
    """A session that remembers how many slices it was asked for, and how."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, make_plan(CPU, 2, max_batch_size=8))
        self.asked: list[tuple[str, int]] = []

    def run(self, slices: Sequence[Slice]) -> Logits:
        self.asked.append(("run", len(slices)))
        return super().run(slices)

    def run_alone(self, slices: Sequence[Slice]) -> Logits:
        self.asked.append(("run_alone", len(slices)))
        return super()._run_on(self._session, slices)


@pytest.fixture
def session(models: Path) -> Watched:
    return Watched(models / NAME / "1" / "model.onnx")


def inference(models: Path, session: Session, quiet: Callable[[], bool] = lambda: False) -> Inference:
    labels = {"model": NAME, "version": "1"}
    metrics = Metrics()
    stages = {each: metrics.stage_seconds.labels(**labels, stage=each) for each in STAGES}
    return Inference(read_card(models / NAME / "1"), session, Settings(), stages, quiet)


def test_slices_and_pictures_get_the_same_answers_in_their_order(models: Path, session: Watched) -> None:
    infer = inference(models, session)
    pictures = [png(seed) for seed in range(5)]
    mixed = [infer.prepare(each) if place % 2 else each for place, each in enumerate(pictures)]
    one_by_one = [infer([each])[0].found for each in pictures]
    together = infer(mixed)
    assert session.asked[-1] == ("run", 5)
    for outcome, expected in zip(together, one_by_one, strict=True):
        assert np.allclose(np.asarray(outcome.found), np.asarray(expected), atol=1e-6)
    assert [outcome.decode_seconds > 0 for outcome in together] == [True, False, True, False, True]


def test_a_picture_that_cannot_be_read_gets_its_own_error_and_shifts_no_answer(models: Path, session: Watched) -> None:
    infer = inference(models, session)
    first, bad, second = infer([png(1), b"no picture", png(2)])
    assert isinstance(bad.found, NotAnImage)
    assert session.asked == [("run", first.run_slices)] == [("run", 2)]
    for outcome, seed in ((first, 1), (second, 2)):
        assert np.allclose(np.asarray(outcome.found), np.asarray(infer([png(seed)])[0].found), atol=1e-6)


def test_a_batch_without_a_readable_picture_runs_nothing(models: Path, session: Watched) -> None:
    (outcome,) = inference(models, session)([b"no picture"])
    assert isinstance(outcome.found, NotAnImage)
    assert session.asked == []


def test_a_picture_alone_in_the_service_gets_every_core_and_others_a_lane(models: Path, session: Watched) -> None:
    inference(models, session, lambda: True)([png(1)])
    inference(models, session, lambda: False)([png(1)])
    assert session.asked == [("run_alone", 1), ("run", 1)]


def test_pictures_that_share_a_batch_never_get_the_lone_run_which_is_for_one(models: Path, session: Watched) -> None:
    inference(models, session, lambda: True)([png(1), png(2)])
    assert session.asked == [("run", 2)]


class Hungry(Watched):
    """A session that has no memory for more than two slices."""

    def run(self, slices: Sequence[Slice]) -> Logits:
        if len(slices) > 2:
            raise OutOfMemory
        return super().run(slices)


def test_without_memory_a_batch_is_decoded_once_and_run_in_halves(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, prepare = list[bytes](), Inference.prepare

    def counted(self: Inference, content: bytes) -> Slice:
        decoded.append(content)
        return prepare(self, content)

    monkeypatch.setattr(Inference, "prepare", counted)
    hungry = Hungry(models / NAME / "1" / "model.onnx")
    infer = inference(models, hungry)
    assert len(infer([png(seed) for seed in range(4)])) == 4
    assert hungry.asked == [("run", 2), ("run", 2)]
    assert len(decoded) == 4
    with pytest.raises(NotReady):
        infer([png(seed) for seed in range(6)])
