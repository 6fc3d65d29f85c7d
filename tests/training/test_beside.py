import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from service.contract.card import REPORT_FILE
from training import checkpoint
from training.beside import BESIDE, TEST, VALIDATION, Beside, measure_beside
from training.calibrate import calibrate
from training.config import Recipe
from training.data.index import read_index, write_index
from training.errors import DataError
from training.evaluate import evaluate
from training.history import chosen_line, read_history
from training.index import INDEX
from training.report import Report
from training.run import RECIPE, load_best, load_folds
from training.validation import logits_of


@pytest.fixture
def other(finished: Path, pictures: Path, tmp_path: Path) -> Path:
    """The same run with a head drawn by lot."""
    return with_other_head(finished, pictures, tmp_path / "other", scale=5)


def with_other_head(run: Path, data: Path, to: Path, scale: float) -> Path:
    other = Path(shutil.copytree(run, to))
    found = torch.load(other / checkpoint.BEST, weights_only=True)
    weight = next(key for key in found["network"] if key.endswith("head.weight") and "conv_head" not in key)
    found["network"][weight] = scale * torch.randn(found["network"][weight].shape, generator=torch.manual_seed(1))
    torch.save(found, other / checkpoint.BEST)
    calibrate(data, other)
    return other


def test_each_run_has_its_own_figures_and_the_difference_is_theirs(
    finished: Path, other: Path, pictures: Path, recipe: Recipe, tmp_path: Path
) -> None:
    found = measure_beside(pictures, other, finished, tmp_path / "out", resamples=50)
    assert Beside.model_validate_json((tmp_path / "out" / BESIDE).read_bytes()) == found
    assert (found.run, found.of, [*found.figures]) == ("other", "tiny", [VALIDATION, TEST])
    report = Report.model_validate_json((finished / REPORT_FILE).read_bytes())
    assert found.figures[TEST]["accuracy"].base == report.figures["accuracy"].value
    chosen = chosen_line(read_history(finished))
    assert found.figures[VALIDATION]["macro_f1"].base == pytest.approx(chosen["val_macro_f1"])
    for part, folds in {VALIDATION: recipe.data.val_folds, TEST: recipe.data.test_folds}.items():
        seen = load_folds(recipe, pictures, other, folds)
        seen = seen.select(seen.known)
        answers = logits_of(load_best(recipe, other), seen, "cpu").argmax(dim=1).numpy()
        accuracy = found.figures[part]["accuracy"]
        assert accuracy.variant == np.mean(answers == seen.targets)
        assert found.figures[part]["nll"].variant != found.figures[part]["nll"].base
        assert accuracy.difference.value == pytest.approx(accuracy.variant - accuracy.base)
        assert accuracy.difference.low <= accuracy.difference.value <= accuracy.difference.high
        assert found.slices[part] == len(seen.rows)


def test_a_run_has_nothing_over_itself(finished: Path, pictures: Path, tmp_path: Path) -> None:
    found = measure_beside(pictures, finished, finished, tmp_path, resamples=50)
    differences = [each.difference for figures in found.figures.values() for each in figures.values()]
    assert {(each.low, each.value, each.high) for each in differences} == {(0, 0, 0)}


def test_runs_of_other_slices_or_classes_are_not_compared(
    finished: Path, other: Path, pictures: Path, recipe: Recipe
) -> None:
    rows = read_index(other / INDEX)
    write_index([replace(row, fold=row.fold % 5 + 1) for row in rows], other / INDEX)
    with pytest.raises(DataError, match="other validation slices"):
        measure_beside(pictures, other, finished, other)
    classes = {"class_names": tuple(reversed(recipe.class_names))}
    (other / RECIPE).write_text(recipe.model_copy(update=classes).model_dump_json())
    with pytest.raises(DataError, match="other classes"):
        measure_beside(pictures, other, finished, other)
    assert not (other / BESIDE).exists()


def test_validation_slices_that_one_of_the_two_learnt_are_not_compared(
    finished: Path, refitted: Path, pictures: Path, tmp_path: Path
) -> None:
    found = measure_beside(pictures, refitted, finished, tmp_path / "out", resamples=50)
    assert [*found.figures] == [TEST]
    assert [*measure_beside(pictures, finished, refitted, tmp_path / "out", resamples=50).figures] == [TEST]


def test_of_a_source_left_out_it_says_whether_tumours_are_told(
    left_out: Path, finished: Path, pictures: Path, tmp_path: Path
) -> None:
    rows = read_index(left_out / INDEX)
    write_index([replace(row, fold=4) if row.fold == 3 else row for row in rows], left_out / INDEX)
    other = with_other_head(left_out, pictures, tmp_path / "other", scale=50)
    beside = measure_beside(pictures, other, left_out, tmp_path / "out", resamples=50)
    assert [*beside.figures] == [VALIDATION, TEST, "away"]
    assert beside.slices["away"] == 10
    (auroc,) = beside.figures["away"].values()
    report = evaluate(pictures, left_out, resamples=50)
    away = next(of for of in report.tumor_or_not if of.dataset == "away")
    assert auroc.base == pytest.approx(away.figures["auroc"].value)
    assert auroc.variant != auroc.base
    assert auroc.difference.value == pytest.approx(auroc.variant - auroc.base)
    with pytest.raises(DataError, match="left without other sources"):
        measure_beside(pictures, left_out, finished, tmp_path / "out", resamples=50)
