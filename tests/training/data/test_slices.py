from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from service.contract.card import InputSpec
from training.config import Recipe
from training.data.index import Row, read_index
from training.data.slices import Slices, allowed_classes, draw_weights, load_slices
from training.index import INDEX

NAMES = ("glioma", "meningioma", "no_tumor", "pituitary")
SPEC = InputSpec(height=32, width=32, mean=(0.5,), std=(0.5,))


def slices_of(labels: list[tuple[str, str]]) -> Slices:
    rows = [Row("drawn", f"{i}.png", label, group, 1, 8, 8, "0" * 64) for i, (label, group) in enumerate(labels)]
    allowed = np.stack([allowed_classes(row.label, NAMES) for row in rows])
    return Slices(rows, np.zeros((len(rows), 8, 8), np.uint8), allowed)


def test_a_tumour_of_unknown_type_allows_every_class_but_no_tumor() -> None:
    assert allowed_classes("tumor", NAMES).tolist() == [True, True, False, True]
    assert allowed_classes("glioma", NAMES).tolist() == [True, False, False, False]


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(KeyError, match="cat"):
        allowed_classes("cat", NAMES)


def test_labels_are_drawn_by_their_share_and_groups_of_a_label_alike(recipe: Recipe) -> None:
    slices = slices_of([("glioma", "a"), ("glioma", "b"), ("glioma", "b"), ("glioma", "b"), ("no_tumor", "c")])
    shares = {"glioma": 0.6, "meningioma": 1.0, "no_tumor": 0.2, "pituitary": 1.0}
    weights = draw_weights(slices, recipe.data.model_copy(update={"shares": shares}))
    assert weights == pytest.approx([0.375, 0.125, 0.125, 0.125, 0.25])


def test_slices_are_preprocessed_once_and_then_read_from_the_cache(
    finished: Path, pictures: Path, tmp_path: Path
) -> None:
    rows = read_index(finished / INDEX)[:4]
    first = load_slices(rows, pictures, SPEC, NAMES, tmp_path)
    assert first.pixels.shape == (4, 32, 32)
    assert first.pixels.dtype == np.uint8
    again = load_slices(rows, tmp_path / "no pictures here", SPEC, NAMES, tmp_path)
    assert (again.pixels == first.pixels).all()


def test_some_slices_can_be_chosen(finished: Path, pictures: Path, tmp_path: Path) -> None:
    slices = load_slices(read_index(finished / INDEX), pictures, SPEC, NAMES, tmp_path)
    tested = slices.select(np.array([row.fold == 5 for row in slices.rows]))
    assert {row.fold for row in tested.rows} == {5}
    assert Counter(row.label for row in tested.select(~tested.known).rows) == {"tumor": 2}
    known = tested.select(tested.known)
    assert [NAMES[target] for target in known.targets] == [row.label for row in known.rows]
