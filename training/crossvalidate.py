"""One recipe over all folds: fold i tests, fold i + 1 validates, the others train; resumed fold by fold.

Of a refit fold i + 1 trains too, and nothing is chosen.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from service.contract.card import REPORT_FILE
from training import measure
from training.calibrate import calibrate
from training.config import Recipe, read_recipe
from training.data.index import read_index
from training.errors import DataError, RecipeError
from training.evaluate import evaluate
from training.history import chosen_line, read_history
from training.index import INDEX, Lister, index
from training.intervals import RESAMPLES, Interval
from training.misclassified import draw_misclassified
from training.predictions import read_predictions, told
from training.progress import Watcher, nobody
from training.report import Report
from training.run import RECIPE
from training.train import train
from training.whole import read_whole, write_whole

CROSSVALIDATION = "crossvalidation.json"
FOLD = "fold-"
PLACE = "{fold}"
"""What stands for a fold's number in the paths of a recipe's starting weights."""
OF_EPOCH = ("val_accuracy", "val_loss", "val_macro_f1", "train_accuracy", "train_loss")


class Spread(BaseModel):
    """A figure over the folds: mean, standard deviation (n - 1) and the folds' own values in their order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float
    sd: float
    folds: tuple[float, ...]


class CrossValidation(BaseModel):
    """Test figures and the chosen epoch's figures over the folds; pooled, with intervals by groups over all folds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    split_by: str
    test: dict[str, Spread]
    chosen_epoch: dict[str, Spread]
    pooled: dict[str, Interval]
    slices: int


def crossvalidate(
    recipe: Recipe,
    data: Path,
    run: Path,
    resamples: int = RESAMPLES,
    *,
    watcher: Watcher = nobody,
    lister: Lister = index,
) -> CrossValidation:
    """Train and measure what is still missing below `run/fold-<i>`, then write `<run>/crossvalidation.json`.

    `lister` lists a fold's pictures, `watcher` is told of its training. Raises `RecipeError` for a fold that was
    measured with another recipe, `DataError` where folds are of other indices.
    """
    runs = [run / f"{FOLD}{fold}" for fold in folds_of(recipe)]
    for fold, home in zip(folds_of(recipe), runs, strict=True):
        _fold(recipe_of_fold(recipe, fold), data, home, resamples, watcher=watcher, lister=lister)
    found = summarise(recipe, runs, resamples)
    write_whole(run / CROSSVALIDATION, found.model_dump_json(indent=2) + "\n")
    draw_misclassified(data, run)
    return found


def folds_of(recipe: Recipe) -> range:
    """The numbers of the folds; raises `RecipeError` where three parts cannot be made of them."""
    if recipe.data.folds < 3:
        raise RecipeError("cross-validation needs data.folds of 3 or more: one tests, one validates, the others train")
    return range(1, recipe.data.folds + 1)


def recipe_of_fold(recipe: Recipe, fold: int) -> Recipe:
    """The recipe with `fold` tested, the next one validated and all others trained.

    `{fold}` in the path of its starting weights is the fold's number: each goes on from the run that tests the same.
    """
    val = fold % recipe.data.folds + 1
    train_folds = tuple(other for other in folds_of(recipe) if other not in {fold, val})
    chosen = {"train_folds": train_folds, "val_folds": (val,), "test_folds": (fold,)}
    changes = {"data": recipe.data.model_copy(update=chosen), "weights": _weights_of_fold(recipe, fold)}
    return recipe.model_copy(update=changes)


def _weights_of_fold(recipe: Recipe, fold: int) -> str | Path | tuple[Path, ...] | None:
    of_fold = tuple(Path(str(path).replace(PLACE, str(fold))) for path in recipe.starts)
    return of_fold[0] if isinstance(recipe.weights, Path) else of_fold or recipe.weights


def refuse_other(recipe: Recipe, run: Path) -> None:
    """Raise `RecipeError` for a fold that was measured with another recipe."""
    if read_recipe(run / RECIPE) != recipe:
        raise RecipeError(f"{run} was measured with another recipe: choose a new run")


def summarise(recipe: Recipe, runs: Sequence[Path], resamples: int) -> CrossValidation:
    """The figures of finished runs, one a fold."""
    reports = [read_whole(run / REPORT_FILE, Report) for run in runs]
    chosen = [chosen_line(read_history(run)) for run in runs if recipe.epochs]
    pooled = measure.known_figures(_pool(recipe, runs), recipe.seed, resamples)
    return CrossValidation(
        recipe=recipe.name,
        split_by=recipe.data.split_by,
        test={name: _spread([report.figures[name].value for report in reports]) for name in reports[0].figures},
        chosen_epoch={
            name: _spread([line[name] for line in chosen]) for name in OF_EPOCH if chosen and name in chosen[0]
        },
        pooled={name: figure for name, figure in pooled.items() if not name.endswith("_uncalibrated")},
        slices=sum(sum(map(sum, report.confusion)) for report in reports),
    )


def _fold(recipe: Recipe, data: Path, run: Path, resamples: int, *, watcher: Watcher, lister: Lister) -> None:
    if (run / REPORT_FILE).exists():
        refuse_other(recipe, run)
        return
    lister(recipe, data, run)
    _refuse_other_rows(run)
    train(recipe, data, run, watcher(recipe, run))
    calibrate(data, run)
    evaluate(data, run, resamples)


def _refuse_other_rows(run: Path) -> None:
    """A slice would be tested twice, or never, where pictures came or went between two folds."""
    first = run.with_name(f"{FOLD}1") / INDEX
    if first.exists() and read_index(first) != read_index(run / INDEX):
        raise DataError(f"{run.parent} began on another index: choose a new run")


def _pool(recipe: Recipe, runs: Sequence[Path]) -> measure.Predictions:
    """Every fold's answers to its test slices of known class, each from the network that never saw them."""
    rows, lines = [], []
    for run in runs:
        indexed = {row.path: row for row in read_index(run / INDEX)}
        tested = read_recipe(run / RECIPE).data.test_folds
        for line in read_predictions(run):
            row = indexed[line["path"]]
            if row.label in recipe.class_names and row.fold in tested:
                rows.append(row)
                lines.append(line)
    return measure.Predictions.told(rows, told(lines, recipe.class_names), recipe.class_names)


def _spread(values: Sequence[float]) -> Spread:
    return Spread(mean=float(np.mean(values)), sd=float(np.std(values, ddof=1)), folds=tuple(values))
