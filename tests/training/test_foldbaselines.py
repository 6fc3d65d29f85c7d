from pathlib import Path

import numpy as np
import pytest

from training.baselines import LOGISTIC, MAJORITY, features, logistic
from training.config import Recipe
from training.crossvalidate import recipe_of_fold
from training.data.index import read_index
from training.errors import RecipeError
from training.foldbaselines import BASELINES, FoldBaselines, fold_baselines
from training.index import INDEX, index
from training.run import RECIPE


def test_each_fold_is_answered_by_what_its_training_folds_tell(three: Recipe, pictures: Path, tmp_path: Path) -> None:
    found = fold_baselines(three, pictures, tmp_path, 20)
    rows = [row for row in read_index(tmp_path / "fold-1" / INDEX) if row.label in three.class_names]
    assert found.slices == len(rows)
    majority = logistical = 0
    for fold in (1, 2, 3):
        learnt = recipe_of_fold(three, fold).data.train_folds
        seen, asked = [row for row in rows if row.fold in learnt], [row for row in rows if row.fold == fold]
        targets = [three.class_names.index(row.label) for row in seen]
        right = [three.class_names.index(row.label) for row in asked]
        majority += right.count(int(np.bincount(targets).argmax()))
        told = logistic(features(seen, pictures), np.array(targets), features(asked, pictures), len(three.class_names))
        logistical += int((told.argmax(axis=1) == right).sum())
    assert found.baselines[MAJORITY].accuracy.value == pytest.approx(majority / len(rows))
    assert found.baselines[LOGISTIC].accuracy.value == pytest.approx(logistical / len(rows))
    assert FoldBaselines.model_validate_json((tmp_path / BASELINES).read_bytes()) == found


def test_pictures_that_a_fold_has_listed_are_not_listed_again(three: Recipe, pictures: Path, tmp_path: Path) -> None:
    listed: list[Path] = []

    def lister(recipe: Recipe, data: Path, run: Path) -> None:
        listed.append(run)
        index(recipe, data, run)

    for _ in range(2):
        fold_baselines(three, pictures, tmp_path, 20, lister=lister)
    assert listed == [tmp_path / "fold-1"]


def test_folds_that_were_trained_with_another_recipe_are_refused(three: Recipe, pictures: Path, tmp_path: Path) -> None:
    fold_baselines(three, pictures, tmp_path, 20)
    other = recipe_of_fold(three, 1).model_copy(update={"dropout": 0.15})
    (tmp_path / "fold-1" / RECIPE).write_text(other.model_dump_json())
    with pytest.raises(RecipeError, match="another recipe"):
        fold_baselines(three, pictures, tmp_path, 20)
