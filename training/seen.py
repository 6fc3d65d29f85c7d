"""Whether another run learnt from the slices that this one is held to."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from training.config import Recipe, read_recipe
from training.data.index import NO_FOLD, Row, read_index
from training.errors import made_by
from training.index import INDEX
from training.run import RECIPE

Group = tuple[str, str]
"""A dataset and a group of near-duplicates in it."""


def count_seen(home: Path, recipe: Recipe, run: Path) -> int:
    """Slices that `run` holds out and the run at `home` learnt from: near-duplicates and copies count as the slice.

    Validation slices of the other run count as learnt where this one tests, for they chose its epoch.
    """
    theirs = read_recipe(made_by("experiment", home / RECIPE))
    known, rows = (
        read_index(made_by("index", place / INDEX), of.data.datasets) for place, of in ((home, theirs), (run, recipe))
    )
    names = _names((*known, *rows))
    tested = (*recipe.data.test_folds, NO_FOLD)
    learnt, chosen = (_of(known, folds, names) for folds in (theirs.data.train_folds, theirs.data.val_folds))
    held_out = [row for row in rows if row.fold in (*recipe.data.val_folds, *tested)]
    return sum(bool(names[row.path] & (learnt | chosen if row.fold in tested else learnt)) for row in held_out)


def _names(rows: Sequence[Row]) -> Mapping[str, set[Group]]:
    """By path, the groups of a picture and of the one that it copies, in whichever index; they may part them apart."""
    groups: defaultdict[str, set[Group]] = defaultdict(set)
    for row in rows:
        groups[row.path].add((row.dataset, row.group))
    for row in rows:
        groups[row.path] |= groups.get(row.same_as, set())
    return groups


def _of(rows: Sequence[Row], folds: Sequence[int], names: Mapping[str, set[Group]]) -> set[Group]:
    """All names of the groups of some folds."""
    return set().union(*(names[row.path] for row in rows if row.fold in folds))
