"""Whether another run, or a registered version, learnt from the slices that this one is held to."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from service.contract.card import CARD_FILE, Card, read_card
from training.config import Recipe, read_recipe
from training.data.index import NO_FOLD, Row, read_index, sha256_of, write_index
from training.dataconfig import DataConfig
from training.errors import RecipeError, made_by
from training.index import INDEX
from training.run import RECIPE

Group = tuple[str, str]
"""A dataset and a group of near-duplicates in it."""


def count_seen(home: Path, recipe: Recipe, run: Path) -> int:
    """Slices that `run` holds out and the run at `home` learnt from: near-duplicates and copies count as the slice.

    What its own teachers learnt from counts too, and the run whose checkpoint it started from. Validation slices of the
    others count as learnt where this one tests, for they chose an epoch.
    """
    rows = _rows(run, recipe)
    line = _line_of(home)
    versions = {path for theirs in line.values() for path in theirs.starts if (path.parent / CARD_FILE).exists()}
    others = [(theirs.data, _rows(place, theirs)) for place, theirs in line.items()]
    names = _names([*rows, *(row for _, known in others for row in known)])
    tested = (*recipe.data.test_folds, NO_FOLD)
    learnt = set().union(*(_of(known, data.learnt_folds, names) for data, known in others))
    chosen = set().union(*(_of(known, data.val_folds, names) for data, known in others))
    held_out = [row for row in rows if row.fold in (*recipe.data.validated_folds, *tested)]
    seen = {row.path for row in held_out if names[row.path] & (learnt | chosen if row.fold in tested else learnt)}
    return len(seen.union(*(find_seen(read_card(path.parent), recipe, run) for path in versions)))


def find_seen(card: Card, recipe: Recipe, run: Path) -> set[str]:
    """The paths of what a registered version learnt and `run` holds out, as far as its card tells.

    That is its data, its split and the hash of its index: of copies of slices of its data sets not which of them it
    learnt, so that all count. Raises `RecipeError` where both know a data set and deal it out differently, for
    then nothing can be told.
    """
    theirs = DataConfig.model_validate(card.training.recipe["data"])
    tested = (*recipe.data.test_folds, NO_FOLD)
    held_out = [row for row in _rows(run, recipe) if row.fold in (*recipe.data.validated_folds, *tested)]
    ours = [row for row in held_out if row.dataset not in theirs.datasets]
    copies = {row.path for row in ours if PurePosixPath(row.same_as).parts[:1] in {(name,) for name in theirs.datasets}}
    if not set(theirs.datasets) & set(recipe.data.datasets):
        return copies
    with TemporaryDirectory() as folder:
        write_index(read_index(run / INDEX, theirs.datasets), Path(folder) / INDEX)
        if sha256_of(Path(folder) / INDEX) != card.data.index_sha256:
            raise RecipeError(
                f"{card.name}, version {card.version}, learnt {card.data.name}, dealt out otherwise than here: "
                "whether it learnt what is held out here cannot be told"
            )
    learnt, chosen = set(theirs.learnt_folds), {*theirs.learnt_folds, *theirs.val_folds}
    shared = [row for row in held_out if row.dataset in theirs.datasets]
    return copies | {row.path for row in shared if row.fold in (chosen if row.fold in tested else learnt)}


def _rows(run: Path, recipe: Recipe) -> Sequence[Row]:
    return read_index(made_by("index", run / INDEX), recipe.data.datasets)


def _line_of(home: Path) -> Mapping[Path, Recipe]:
    """The run at `home` and those behind it that are still there: teachers, starts, and theirs."""
    found: dict[Path, Recipe] = {}
    waiting = [home.resolve()]
    while waiting:
        place = waiting.pop()
        if place not in found:
            found[place] = read_recipe(made_by("experiment", place / RECIPE))
            waiting += [each.resolve() for each in _behind(found[place]) if (each / RECIPE).exists()]
    return found


def _behind(recipe: Recipe) -> Iterator[Path]:
    """Folders of what a run was taught by and started from."""
    yield from recipe.distill.teachers
    yield from (path.parent for path in recipe.starts)


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
