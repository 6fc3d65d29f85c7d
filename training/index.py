"""The first step: which pictures, in which groups and folds."""

from collections.abc import Sequence
from pathlib import Path

from training import checkpoint
from training.config import UNKNOWN_TUMOR, Recipe
from training.data.arrange import arrange
from training.data.folders import Found, rows_of_folders
from training.data.index import Row, read_index, refuse_split_groups, write_index
from training.data.published import rows_of_published
from training.errors import DataError

INDEX = "index.csv"
UNREADABLE = "unreadable.txt"


def index(recipe: Recipe, data: Path, run: Path, published: Path | None = None) -> Path:
    """Write `<run>/index.csv` with the pictures of the recipe's datasets below `data`, and what cannot be read of them.

    Groups and folds come from the index at `published`, by default `<data>/index.csv`, if there is one, and are
    computed otherwise; then the recipe's split has its way. Raises `DataError` where the run has been trained on
    other rows already, for labels that the recipe does not know or has no share for, and for classes that the
    training or the test folds lack.
    """
    found = _find(recipe.data.datasets, data, published or data / INDEX, required=published is not None)
    rows = arrange(found.rows, recipe.data, recipe.seed if recipe.data.seed is None else recipe.data.seed)
    _refuse_unknown_labels(rows, recipe)
    _refuse_undrawn_labels(rows, recipe)
    _refuse_absent_classes(rows, recipe)
    refuse_split_groups(rows)
    target = run / INDEX
    if (run / checkpoint.LAST).exists() and target.exists() and read_index(target) != rows:
        raise DataError(f"{run} was trained on another index: choose a new run")
    run.mkdir(parents=True, exist_ok=True)
    write_index(rows, target)
    (run / UNREADABLE).write_text("".join(f"{line}\n" for line in found.unreadable))
    return target


def _find(datasets: Sequence[str], data: Path, published: Path, *, required: bool) -> Found:
    if published.is_file():
        return Found(rows_of_published(published, data, datasets), ())
    if required:
        raise DataError(f"{published} does not exist")
    return rows_of_folders(data, datasets)


def _refuse_unknown_labels(rows: Sequence[Row], recipe: Recipe) -> None:
    unknown = {row.label for row in rows} - {*recipe.class_names, UNKNOWN_TUMOR}
    if unknown:
        raise DataError(f"labels {', '.join(sorted(unknown))} are neither classes of the recipe nor '{UNKNOWN_TUMOR}'")


def _refuse_undrawn_labels(rows: Sequence[Row], recipe: Recipe) -> None:
    undrawn = {row.label for row in rows if row.fold in recipe.data.train_folds} - set(recipe.data.shares)
    if undrawn and recipe.draw == "weighted":
        raise DataError(f"data.shares gives {', '.join(sorted(undrawn))} no share, which the training folds hold")


def _refuse_absent_classes(rows: Sequence[Row], recipe: Recipe) -> None:
    """What could be neither learnt nor measured is told before anything is trained."""
    for part, folds in (("training", recipe.data.train_folds), ("test", recipe.data.test_folds)):
        if absent := set(recipe.class_names) - {row.label for row in rows if row.fold in folds}:
            raise DataError(f"the {part} folds {', '.join(map(str, folds))} hold no {', '.join(sorted(absent))}")
