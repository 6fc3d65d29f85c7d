"""Deal groups to folds, so that no fold holds a near-duplicate of another's slice and labels spread evenly."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from training.data.index import Row

Group = tuple[str, str]
"""Dataset and group."""


def assign_folds(rows: Sequence[Row], folds: int, seed: int) -> list[Row]:
    """The rows with a fold from 1 to `folds`; a group stays whole, and labels of a dataset are spread evenly.

    Groups are dealt largest first, in an order drawn from `seed`, each to the fold that has fewest of its label.
    """
    fold_of: dict[Group, int] = {}
    for _, groups in sorted(_by_label(rows).items()):
        fold_of |= _deal(groups, folds, seed)
    return [replace(row, fold=fold_of[row.dataset, row.group]) for row in rows]


def _by_label(rows: Sequence[Row]) -> dict[tuple[str, str], Counter[Group]]:
    """Groups and their sizes by dataset and label; a group of two labels counts under its first."""
    label_of: dict[Group, str] = {}
    groups: defaultdict[tuple[str, str], Counter[Group]] = defaultdict(Counter)
    for row in rows:
        label = label_of.setdefault((row.dataset, row.group), row.label)
        groups[row.dataset, label][row.dataset, row.group] += 1
    return groups


def _deal(groups: Counter[Group], folds: int, seed: int) -> dict[Group, int]:
    dealt = sorted(groups)
    random.Random(seed).shuffle(dealt)  # noqa: S311 - a repeatable draw is wanted
    held = dict.fromkeys(range(1, folds + 1), 0)
    fold_of = {}
    for group in sorted(dealt, key=lambda group: -groups[group]):
        fold_of[group] = min(held, key=lambda fold: held[fold])
        held[fold_of[group]] += groups[group]
    return fold_of
