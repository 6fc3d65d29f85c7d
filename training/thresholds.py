"""Tumour or not at other thresholds than the one that all share, and at one that a site chooses for itself."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from training.data.index import Row
from training.intervals import Chosen, Interval, bounded, intervals, percentiles
from training.report import AtThreshold, OwnThreshold, Thresholds
from training.tables import number
from training.tumor import SENSITIVITY, count_groups, least_called, shows_tumor

GRID = (0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
HALVINGS = 500
FEWEST = 20
"""Groups of either kind that there must be: half of them choose a threshold, and ten tumours are few to choose by."""
HEAD = ("threshold", "sensitivity", "specificity")

Tumor = npt.NDArray[np.float64]
"""Tumour probability (N,)."""


def thresholds(rows: Sequence[Row], tumor: Tumor, seed: int, resamples: int) -> Thresholds:
    """Each threshold of `GRID` for tumour probabilities (N,), and one's own; both kinds of slices must be there."""
    own = _own(rows, tumor, seed) if min(count_groups(rows)) >= FEWEST else None
    return Thresholds(points=_points(rows, tumor, seed, resamples), own=own)


def threshold_lines(found: Thresholds) -> Iterator[list[str]]:
    """As `HEAD` has it; the last line is one's own threshold, if there is one."""
    for point in found.points:
        yield [f"{point.threshold:g}", number(point.sensitivity, 3), number(point.specificity, 3)]
    if found.own:
        own = found.own
        words = f"one's own, chosen on {own.groups} groups: {number(own.threshold, 2)}"
        yield [words, number(own.sensitivity, 3), number(own.specificity, 3)]


def _points(rows: Sequence[Row], tumor: Tumor, seed: int, resamples: int) -> tuple[AtThreshold, ...]:
    shows = shows_tumor(rows)
    called = tumor[:, None] >= np.array(GRID)

    def figures(chosen: Chosen) -> dict[str, float]:
        ill, given = shows[chosen], called[chosen]
        rates = {"sensitivity": given[ill].mean(axis=0), "specificity": (~given[~ill]).mean(axis=0)}
        return {f"{name} {at}": float(rate[i]) for name, rate in rates.items() for i, at in enumerate(GRID)}

    found = intervals(figures, rows, seed, resamples)
    ill, healthy = count_groups(rows)
    return tuple(
        AtThreshold(
            threshold=at,
            sensitivity=bounded(found[f"sensitivity {at}"], ill),
            specificity=bounded(found[f"specificity {at}"], healthy),
        )
        for at in GRID
    )


def _own(rows: Sequence[Row], tumor: Tumor, seed: int) -> OwnThreshold:
    """Chosen on one half of the groups and measured on the other, over and over."""
    shows = shows_tumor(rows)
    drawn = []
    for first, second in _halvings(rows, seed):
        at = least_called(tumor[first][shows[first]])
        called, ill = tumor[second] >= at, shows[second]
        drawn.append((at, called[ill].mean(), (~called[~ill]).mean()))
    threshold, sensitivity, specificity = (
        Interval(value=float(np.mean(values)), low=low, high=high)
        for values in zip(*drawn, strict=True)
        for low, high in [percentiles(values)]
    )
    return OwnThreshold(
        aim=SENSITIVITY,
        groups=sum(count_groups(rows)) // 2,
        threshold=threshold,
        sensitivity=sensitivity,
        specificity=specificity,
    )


def _halvings(rows: Sequence[Row], seed: int) -> Iterator[tuple[Chosen, Chosen]]:
    """Positions of both halves: whole groups, of each kind as many here as there but for one."""
    members: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        members[row.dataset, row.group].append(position)
    shows = shows_tumor(rows)
    kinds = [[of for of in members.values() if shows[of].any() == kind] for kind in (True, False)]
    draws = np.random.default_rng(seed)
    for _ in range(HALVINGS):
        halves: tuple[list[int], list[int]] = ([], [])
        for groups in kinds:
            for place, index in enumerate(draws.permutation(len(groups))):
                halves[place % 2].extend(groups[index])
        yield np.array(halves[0]), np.array(halves[1])
