"""The first step: which pictures, in which groups and folds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from training import checkpoint
from training.config import Recipe
from training.data.arrange import arrange
from training.data.folders import rows_of_folders
from training.data.index import NO_FOLD, Row, read_index, refuse_split_groups, write_index
from training.data.leaks import Leak, alike, leaks
from training.data.published import faults_of, rows_of_published
from training.dataconfig import UNKNOWN_TUMOR
from training.errors import DataError

INDEX = "index.csv"
UNREADABLE = "unreadable.txt"
Lister = Callable[[Recipe, Path, Path], object]
"""What lists a recipe's pictures below a data folder into a run: `index`, or what tells of it too."""


@dataclass(frozen=True)
class Listing:
    """The pictures of a run, what is wrong with those left out, and all that were found, in their first groups."""

    rows: list[Row]
    unreadable: tuple[str, ...]
    found: Sequence[Row]

    def leak(self, recipe: Recipe) -> Leak:
        """How many held-out slices are copies of a training slice or in a group with one, whoever dealt the folds."""
        numbers = alike(self.found)
        folds = (*recipe.data.validated_folds, *recipe.data.test_folds, *((NO_FOLD,) if recipe.data.leave_out else ()))
        counted = leaks(self.rows, [numbers[row.path] for row in self.rows], recipe.data.learnt_folds, folds).values()
        return Leak(sum(of.slices for of in counted), sum(of.leaking for of in counted))

    def lost(self) -> str:
        """What a refusal adds where files are left out."""
        return f" ({len(self.unreadable)} files left out, such as {self.unreadable[0]})" if self.unreadable else ""


def index(recipe: Recipe, data: Path, run: Path, published: Path | None = None) -> Path:
    """Write `<run>/index.csv` with the pictures of the recipe's datasets below `data`, and what cannot be read of them.

    Raises `DataError` as `find` and `write` do.
    """
    return write(find(recipe, data, published), run)


def find(recipe: Recipe, data: Path, published: Path | None = None) -> Listing:
    """The pictures of the recipe's datasets below `data`, dealt to folds by the recipe.

    Groups and folds come from the index at `published`, by default `<data>/index.csv`, if there is one, and are
    computed otherwise; then the recipe's split has its way, and files that are missing, changed or unreadable are left
    out. Raises `DataError` where nothing of a dataset remains, for labels that the recipe does not know or has no share
    for, and for classes that the training or the test folds lack.
    """
    if published and not published.is_file():
        raise DataError(f"{published} does not exist")
    listed = published or data / INDEX
    listing = _of_published(listed, recipe, data) if listed.is_file() else _of_folders(recipe, data)
    _refuse_unknown_labels(listing.rows, recipe)
    _refuse_undrawn_labels(listing.rows, recipe)
    _refuse_absent_classes(listing, recipe)
    refuse_split_groups(listing.rows)
    return listing


def write(listing: Listing, run: Path) -> Path:
    """Write `<run>/index.csv`, and `unreadable.txt` beside it; `DataError` where the run was trained on other rows."""
    target = run / INDEX
    if (run / checkpoint.LAST).exists() and target.exists() and read_index(target) != listing.rows:
        raise DataError(f"{run} was trained on another index: choose a new run{listing.lost()}")
    run.mkdir(parents=True, exist_ok=True)
    write_index(listing.rows, target)
    (run / UNREADABLE).write_text("".join(f"{line}\n" for line in listing.unreadable))
    return target


def _of_published(listed: Path, recipe: Recipe, data: Path) -> Listing:
    """Dealt before any is left out, so that a lost file moves no other one to another fold and brings no copy back."""
    found = rows_of_published(listed, recipe.data.datasets)
    arranged = _arrange(found, recipe)
    faults = faults_of(arranged, data)
    rows = [row for row in arranged if row.path not in faults]
    if lost := {row.dataset for row in arranged} - {row.dataset for row in rows}:
        raise DataError(f"{data} holds no picture of {', '.join(sorted(lost))} that is as {listed} says")
    return Listing(rows, tuple(f"{path}: {fault}" for path, fault in faults.items()), found)


def _of_folders(recipe: Recipe, data: Path) -> Listing:
    found = rows_of_folders(data, recipe.data.datasets)
    return Listing(_arrange(found.rows, recipe), found.unreadable, found.rows)


def _arrange(rows: Sequence[Row], recipe: Recipe) -> list[Row]:
    return arrange(rows, recipe.data, recipe.seed if recipe.data.seed is None else recipe.data.seed)


def _refuse_unknown_labels(rows: Sequence[Row], recipe: Recipe) -> None:
    unknown = {row.label for row in rows} - {*recipe.class_names, UNKNOWN_TUMOR}
    if unknown:
        raise DataError(f"labels {', '.join(sorted(unknown))} are neither classes of the recipe nor '{UNKNOWN_TUMOR}'")


def _refuse_undrawn_labels(rows: Sequence[Row], recipe: Recipe) -> None:
    undrawn = {row.label for row in rows if row.fold in recipe.data.learnt_folds} - set(recipe.data.shares)
    if undrawn and recipe.draw == "weighted":
        raise DataError(f"data.shares gives {', '.join(sorted(undrawn))} no share, which the training folds hold")


def _refuse_absent_classes(listing: Listing, recipe: Recipe) -> None:
    """What could be neither learnt nor measured is told before anything is trained."""
    for part, folds in (("training", recipe.data.learnt_folds), ("test", recipe.data.test_folds)):
        if absent := set(recipe.class_names) - {row.label for row in listing.rows if row.fold in folds}:
            where = f"the {part} folds {', '.join(map(str, folds))}"
            raise DataError(f"{where} hold no {', '.join(sorted(absent))}{listing.lost()}")
