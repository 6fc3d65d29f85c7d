"""Trivial answers to the slices of a cross-validation: fitted, fold by fold, on what its network learnt from."""

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from service.contract.probabilities import Probabilities
from training.baselines import features, trivial
from training.config import Recipe
from training.crossvalidate import FOLD, folds_of, recipe_of_fold, refuse_other
from training.data.index import read_index
from training.index import INDEX, Lister, index
from training.intervals import RESAMPLES
from training.measure import Predictions, baseline
from training.report import Baseline
from training.run import RECIPE
from training.whole import write_whole

BASELINES = "baselines.json"


class FoldBaselines(BaseModel):
    """Of all folds' test slices of known class, pooled, with intervals by groups over all folds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slices: int
    baselines: dict[str, Baseline]


def fold_baselines(
    recipe: Recipe, data: Path, run: Path, resamples: int = RESAMPLES, *, lister: Lister = index
) -> FoldBaselines:
    """Write `<run>/baselines.json`; the pictures are listed by `lister` where no fold has listed them yet.

    Raises `RecipeError` for a cross-validation of another recipe, whose folds may be dealt otherwise.
    """
    first = run / f"{FOLD}1"
    if (first / RECIPE).exists():
        refuse_other(recipe_of_fold(recipe, 1), first)
    if not (first / INDEX).exists():
        lister(recipe_of_fold(recipe, 1), data, first)
    names, numbers = recipe.class_names, folds_of(recipe)
    rows = [
        row for row in read_index(first / INDEX, recipe.data.datasets) if row.label in names and row.fold in numbers
    ]
    found, targets = features(rows, data), np.array([names.index(row.label) for row in rows])
    folds = np.array([row.fold for row in rows])
    answers: dict[str, Probabilities] = {}
    for fold in numbers:
        seen, tested = np.isin(folds, recipe_of_fold(recipe, fold).data.learnt_folds), folds == fold
        for name, probs in trivial(found[seen], targets[seen], found[tested], len(names)).items():
            answers.setdefault(name, np.zeros((len(rows), len(names))))[tested] = probs
    figures = {name: baseline(probs, Predictions.told(rows, probs, names), recipe.seed, resamples)
               for name, probs in answers.items()}  # fmt: skip
    pooled = FoldBaselines(slices=len(rows), baselines=figures)
    write_whole(run / BASELINES, pooled.model_dump_json(indent=2) + "\n")
    return pooled
