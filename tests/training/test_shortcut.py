from pathlib import Path

import numpy as np
import pytest

from service.contract.card import REPORT_FILE
from training import blinders
from training.config import Recipe
from training.data.index import read_index
from training.data.slices import Slices
from training.index import INDEX
from training.measure import ALL
from training.report import Report
from training.shortcut import BASELINES, SHORTCUT, VIEWS, Shortcut, measure_shortcut, told


def test_border_and_centre_part_a_slice_between_them() -> None:
    pixels = np.random.default_rng(0).integers(1, 256, (2, 64, 64), dtype=np.uint8)
    border, centre = blinders.border_only(pixels), blinders.centre_only(pixels)
    assert np.array_equal(border + centre, pixels)
    assert border.dtype == np.uint8
    assert np.count_nonzero(centre[0]) == 48 * 48
    assert not border[:, 8:-8, 8:-8].any()


def test_histograms_know_no_place_and_borders_no_centre() -> None:
    draws = np.random.default_rng(1)
    pixels = draws.integers(0, 256, (1, 64, 64), dtype=np.uint8)
    shuffled = draws.permuted(pixels.reshape(1, -1), axis=1).reshape(pixels.shape)
    one, other = (Slices([], each, np.ones((1, 2), np.bool_)) for each in (pixels, shuffled))
    assert np.array_equal(blinders.histogram_features(one), blinders.histogram_features(other))
    framed = Slices([None], pixels, one.allowed)  # type: ignore[list-item]  # a row is not looked at
    hidden = Slices([None], blinders.border_only(pixels), one.allowed)  # type: ignore[list-item]  # nor here
    assert np.array_equal(blinders.border_features(framed), blinders.border_features(hidden))
    assert blinders.border_features(framed).shape == (1, 16**2 - 12**2)


def test_the_share_of_a_tumour_in_the_frame() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[4:12, 20:30] = 255
    assert blinders.share_in_frame([mask]).tolist() == [0.5]


def test_the_whole_slice_gives_the_reports_accuracy_and_each_view_and_baseline_is_measured(
    finished: Path, pictures: Path, tmp_path: Path
) -> None:
    found = measure_shortcut(pictures, finished, tmp_path / "out", resamples=100)
    assert Shortcut.model_validate_json((tmp_path / "out" / SHORTCUT).read_bytes()) == found
    report = Report.model_validate_json((finished / REPORT_FILE).read_bytes())
    whole = {of.dataset: of for of in found.network["whole slice"]}
    assert whole["drawn"].accuracy is not None
    assert whole["drawn"].accuracy.value == report.figures["accuracy"].value
    assert whole["drawn"].auroc is not None
    assert whole["drawn"].auroc.value == pytest.approx(report.tumor_or_not[0].figures["auroc"].value)
    assert whole["drawn"].blind == 0.25
    assert set(found.network) == set(VIEWS)
    assert set(found.baselines) == set(BASELINES)
    assert found.in_sight is None


def test_a_source_left_out_is_told_apart_from_the_test_folds(left_out: Path, pictures: Path) -> None:
    found = measure_shortcut(pictures, left_out, left_out, resamples=100)
    assert {(of.dataset, of.left_out) for of in found.network["border only"]} == {
        ("away", True), ("drawn", False), (ALL, False),
    }  # fmt: skip
    assert next(of for of in found.baselines["grey histogram"] if of.dataset == "away").slices == 10


def test_a_label_that_sizes_give_away_is_told_by_sizes(recipe: Recipe, finished: Path) -> None:
    rows = [row for row in read_index(finished / INDEX) if row.fold == 5 and row.label in recipe.class_names]
    targets = np.array([recipe.class_names.index(row.label) for row in rows])
    slices = Slices(rows, np.zeros((len(rows), 64, 64), np.uint8), np.eye(4, dtype=np.bool_)[targets])
    sure = told(slices, np.eye(4)[targets], recipe, resamples=50)
    assert all(of.accuracy is not None and of.accuracy.value == 1 for of in sure)
    assert all(of.accuracy is not None and of.accuracy.low < 0.9 for of in sure)  # four groups prove little
    assert all(of.auroc is not None and of.auroc.value == 1 for of in sure)
