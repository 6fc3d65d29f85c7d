import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training import checkpoint
from training import crossvalidate as step
from training import train as train_step
from training.config import Recipe
from training.crossvalidate import CROSSVALIDATION, CrossValidation, crossvalidate, recipe_of_fold
from training.data.index import read_index
from training.errors import DataError, RecipeError
from training.index import INDEX
from training.progress import Watch


def test_every_fold_is_tested_once_and_never_trained_on_then(three: Recipe) -> None:
    dealt = [recipe_of_fold(three, fold).data for fold in (1, 2, 3)]
    assert [(data.test_folds, data.val_folds, data.train_folds) for data in dealt] == [
        ((1,), (2,), (3,)), ((2,), (3,), (1,)), ((3,), (1,), (2,)),
    ]  # fmt: skip


def test_of_a_refit_two_folds_of_three_are_learnt_and_nothing_is_told_of_an_epoch(
    three: Recipe, pictures: Path, tmp_path: Path
) -> None:
    refit = three.model_copy(update={"data": three.data.model_copy(update={"refit": True})})
    assert recipe_of_fold(refit, 1).data.learnt_folds == (3, 2)
    found = crossvalidate(refit, pictures, tmp_path / "runs" / "cv", resamples=20)
    assert set(found.chosen_epoch) == {"train_accuracy", "train_loss"}
    assert json.loads((tmp_path / "runs" / "cv" / "fold-1" / "report.json").read_text())["folds"] == {
        "train": [3, 2], "test": [1]}  # fmt: skip


def test_each_fold_goes_on_from_the_run_that_tests_the_same(three: Recipe) -> None:
    one, other = (Path(f"runs/{name}/fold-{{fold}}/best.pt") for name in ("one", "other"))
    for weights, wanted in (
        (one, Path("runs/one/fold-2/best.pt")),
        ((one, other), (Path("runs/one/fold-2/best.pt"), Path("runs/other/fold-2/best.pt"))),
        (Path("whole.pt"), Path("whole.pt")),
        ("pretrained", "pretrained"),
        (None, None),
    ):
        assert recipe_of_fold(three.model_copy(update={"weights": weights}), 2).weights == wanted


def test_two_folds_are_too_few(three: Recipe) -> None:
    two = three.model_copy(update={"data": three.data.model_copy(update={"folds": 2})})
    with pytest.raises(RecipeError, match="3 or more"):
        recipe_of_fold(two, 1)


def test_folds_are_pooled_and_an_interrupted_one_goes_on(
    three: Recipe, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "runs" / "cv"
    trained: list[str] = []
    told: list[tuple[str, int]] = []

    def train_two(recipe: Recipe, data: Path, run: Path, watch: Watch) -> Path:
        trained.append(run.name)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return train_step.train(recipe, data, run, watch)

    def watcher(_: Recipe, home: Path) -> Watch:
        return lambda line: told.append((home.name, line["epoch"]))

    monkeypatch.setattr(step, "train", train_two)
    with pytest.raises(KeyboardInterrupt):
        crossvalidate(three, pictures, run, 20, watcher=watcher)
    assert told == [("fold-1", 0), ("fold-2", 0)]
    fewer = Path(shutil.copytree(pictures, tmp_path / "fewer"))
    (fewer / "drawn" / "glioma" / "0.png").unlink()
    with pytest.raises(DataError, match="another index"):
        crossvalidate(three, fewer, run, resamples=20)
    shutil.copyfile(run / "fold-1" / INDEX, fewer / INDEX)
    with pytest.raises(DataError, match="another index"):
        crossvalidate(three, fewer, run, resamples=20)
    found = crossvalidate(three, pictures, run, resamples=20)
    assert trained == ["fold-1", "fold-2", "fold-3", "fold-3"]
    assert CrossValidation.model_validate_json((run / CROSSVALIDATION).read_bytes()) == found
    known = [row for row in read_index(run / "fold-1" / INDEX) if row.label != "tumor"]
    assert found.slices == len(known)
    accuracy: Any = found.test["accuracy"]
    assert accuracy.mean == pytest.approx(np.mean(accuracy.folds))
    assert accuracy.sd == pytest.approx(np.std(accuracy.folds, ddof=1))
    assert found.pooled["accuracy"].low <= found.pooled["accuracy"].value <= found.pooled["accuracy"].high


def test_a_mean_of_no_epoch_is_measured_fold_by_fold(three: Recipe, pictures: Path, tmp_path: Path) -> None:
    refit = three.model_copy(update={"data": three.data.model_copy(update={"refit": True})})
    first = crossvalidate(refit, pictures, tmp_path / "first", 20)
    starts = (tmp_path / "first" / "fold-{fold}" / checkpoint.BEST,) * 2
    none = tuple(stage.model_copy(update={"epochs": 0}) for stage in refit.stages)
    mean = refit.model_copy(update={"weights": starts, "weights_as": "mean", "stages": none})
    found = crossvalidate(mean, pictures, tmp_path / "mean", 20)
    assert found.pooled["accuracy"].value == first.pooled["accuracy"].value
    assert found.chosen_epoch == {}
