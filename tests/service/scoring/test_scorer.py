from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from service.app import session_opener
from service.contract.card import read_card
from service.images import read_slice
from service.scoring.scorer import Scorer
from service.session import Logits, Session, Slice
from service.settings import Settings
from tests.pictures import png


class FailsOnBright(Session):
    """A real session that raises on any batch with a slice brighter than a bound."""

    bound = 0.0

    def run(self, slices: Sequence[Slice]) -> Logits:
        if max(float(np.mean(each)) for each in slices) > self.bound:
            raise RuntimeError("too bright")
        return super().run(slices)


@pytest.fixture
def scorer(settings: Settings, models: Path) -> Scorer:
    folder = models / "tiny" / "1"
    card = read_card(folder)
    plan = session_opener(settings)(folder / "model.onnx", card).plan
    return Scorer(card, FailsOnBright(folder / "model.onnx", plan), settings)


def test_a_slice_that_fails_takes_no_neighbour_with_it(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = [png(seed) for seed in range(4)]
    monkeypatch.setattr(FailsOnBright, "bound", 1e9)
    wanted = scorer.rows(list("abcd"), contents)
    means = [float(np.mean(read_slice(content, scorer.card.input, 10**6, 1)[1])) for content in contents]
    monkeypatch.setattr(FailsOnBright, "bound", sorted(means)[-2])
    found = scorer.rows(list("abcd"), contents)
    unlucky = int(np.argmax(means))
    assert [row["path"] for row in found] == list("abcd")
    for place, (row, whole) in enumerate(zip(found, wanted, strict=True)):
        if place == unlucky:
            assert row["problem"] == "urn:neurotriage:problem:inference-failed"
        else:
            assert row["probabilities"] == pytest.approx(whole["probabilities"], abs=1e-6)


def test_a_file_that_cannot_be_read_is_a_row_without_its_path_in_the_words(scorer: Scorer) -> None:
    (row,) = scorer.rows(["a"], [PermissionError(13, "Permission denied", "/archive/Jane-Doe.png")])
    assert (row["problem"], row["detail"]) == ("urn:neurotriage:problem:unreadable-file", "Permission denied")
    assert row["sha256"] is None
