"""What a split gives away: slices that are measured on and have a copy or near-duplicate among those trained on."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from training.data.groups import join
from training.data.index import Row


class Leak(NamedTuple):
    """Of `slices`, how many resemble one of the training folds."""

    slices: int
    leaking: int


def leaks(
    rows: Sequence[Row], groups: Sequence[int], train_folds: Sequence[int], folds: Sequence[int]
) -> dict[str, Leak]:
    """By label, for the slices of `folds`; `groups` (one a row) joins near-duplicates, whatever the index says."""
    slices: Counter[str] = Counter()
    leaking: Counter[str] = Counter()
    for row, leaks_here in zip(rows, resembling(rows, groups, train_folds), strict=True):
        if row.fold in folds:
            slices[row.label] += 1
            leaking[row.label] += leaks_here
    return {label: Leak(slices[label], leaking[label]) for label in sorted(slices)}


def resembling(rows: Sequence[Row], groups: Sequence[int], train_folds: Sequence[int]) -> list[bool]:
    """Of each row whether its group, one a row, has a slice of the training folds."""
    trained = {group for row, group in zip(rows, groups, strict=True) if row.fold in train_folds}
    return [group in trained for group in groups]


def alike(rows: Sequence[Row]) -> dict[str, int]:
    """By path, a number that pictures share which `rows` know to be alike: of one group, one file, or one a copy.

    It holds for chains of these too. What no row says is for the pictures themselves to tell.
    """
    first: dict[tuple[str, ...], int] = {}
    pairs = [
        (first.setdefault(name, place), place)
        for place, row in enumerate(rows)
        for name in (("path", row.path), ("path", row.same_as or row.path), ("file", row.sha256),
                     ("group", row.dataset, row.group))
    ]  # fmt: skip
    return {row.path: number for row, number in zip(rows, join(len(rows), pairs), strict=True)}
