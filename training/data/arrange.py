"""From pictures to the rows of one run: copies dropped, labels merged, folds dealt, sources set aside."""

from collections.abc import Sequence
from dataclasses import replace

from training.data.index import NO_FOLD, TESTING, Row
from training.data.splits import assign_folds
from training.dataconfig import DataConfig
from training.errors import DataError


def arrange(rows: Sequence[Row], config: DataConfig, seed: int) -> list[Row]:
    """The rows that `config` asks for, each in a fold from 1 to `config.folds`, or in `NO_FOLD` if left out.

    A row that copies another row's picture is dropped, or the other row with its near-duplicates (`config.keep`).
    Folds are as published and dealt by group where none is (`published`), or dealt anew by group (`group`), by slice,
    letting near-duplicates span folds as much earlier work did (`random`), or by group with the publisher's test
    slices as the last fold (`official`). Raises `DataError` where published folds go beyond `config.folds`: their
    slices would be neither learnt nor measured.
    """
    kept = [replace(row, label=config.relabel.get(row.label, row.label)) for row in KEPT[config.keep](rows)]
    dealt = SPLITS[config.split](kept, config.folds, seed)
    return [replace(row, fold=NO_FOLD) if row.dataset in config.leave_out else row for row in dealt]


def _without_copies(rows: Sequence[Row]) -> list[Row]:
    here = {row.path for row in rows}
    return [row for row in rows if row.same_as not in here]


def _without_originals(rows: Sequence[Row]) -> list[Row]:
    """The copies stay; whatever lies in a group with an original goes, so that no group spans two datasets."""
    copied = {row.same_as for row in rows}
    groups = {(row.dataset, row.group) for row in rows if row.path in copied}
    return [row for row in rows if (row.dataset, row.group) not in groups]


def _published(rows: Sequence[Row], folds: int, seed: int) -> list[Row]:
    if beyond := {row.fold for row in rows} - set(range(NO_FOLD, folds + 1)):
        named = ", ".join(map(str, sorted(beyond)))
        raise DataError(f"the published folds {named} are none of 1 to {folds}: set data.folds to how many there are")
    dealt = iter(assign_folds([row for row in rows if row.fold == NO_FOLD], folds, seed))
    return [next(dealt) if row.fold == NO_FOLD else row for row in rows]


def _random(rows: Sequence[Row], folds: int, seed: int) -> list[Row]:
    """Each slice its own group, named after its path: the index then says what the split did."""
    return assign_folds([replace(row, group=row.path) for row in rows], folds, seed)


def _official(rows: Sequence[Row], folds: int, seed: int) -> list[Row]:
    """A group that the publisher parted is two groups here."""
    marked = [replace(row, group=f"{row.group}/{row.official_split}") for row in rows]
    dealt = iter(assign_folds([row for row in marked if row.official_split != TESTING], folds - 1, seed))
    return [replace(row, fold=folds) if row.official_split == TESTING else next(dealt) for row in marked]


KEPT = {"original": _without_copies, "copy": _without_originals}
SPLITS = {"published": _published, "group": assign_folds, "random": _random, "official": _official}
