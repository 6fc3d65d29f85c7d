"""From a value a slice to means with intervals, and to the paired differences that the bar is about."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from training.data.index import Row
from training.intervals import Chosen, Interval, bounded, intervals
from training.judge.measures import Floats

Columns = Mapping[str, Mapping[str, Floats]]
"""By kind of map and by measure, a value a slice (N,)."""
Means = dict[str, dict[str, Interval]]


class Sample(NamedTuple):
    """What was measured on some slices, and their rows of the index."""

    columns: Columns
    rows: Sequence[Row]


def means(samples: Sequence[Sample], seed: int, resamples: int) -> Means:
    """Every column's mean with its interval, those of one kind of map together."""
    found: Means = {}
    for sample in samples:
        for name, of in _means(sample, seed, resamples).items():
            found.setdefault(name, {}).update(of)
    return found


def advantages(sample: Sample, default: str, priors: Sequence[str], measures: Sequence[str]) -> Sample:
    """By prior and measure, how much better (N,) the default is there; of `deletion`, less is better."""
    ours = sample.columns[default]
    signs = {measure: -1 if measure == "deletion" else 1 for measure in measures if measure in ours}
    better = {
        prior: {measure: sign * (ours[measure] - sample.columns[prior][measure]) for measure, sign in signs.items()}
        for prior in priors
    }
    return Sample(better, sample.rows)


def spread(count: int, most: int) -> list[int]:
    """At most `most` of `count` places, evenly spread; an index is sorted, so every label gets its share."""
    return [int(place) for place in np.unique(np.linspace(0, count - 1, min(most, count)).round())]


def _means(sample: Sample, seed: int, resamples: int) -> Means:
    """All columns share their resamples."""
    keys = [(name, measure) for name, of in sample.columns.items() for measure in of]
    table = np.stack([sample.columns[name][measure] for name, measure in keys], axis=1)
    names = [f"{measure} of {name}" for name, measure in keys]

    def figures(chosen: Chosen) -> dict[str, float]:
        return dict(zip(names, table[chosen].mean(axis=0).tolist(), strict=True))

    found = intervals(figures, sample.rows, seed, resamples)
    groups = len({(row.dataset, row.group) for row in sample.rows})
    nested: Means = {name: {} for name in sample.columns}
    for name, measure in keys:
        mean = found[f"{measure} of {name}"]
        nested[name][measure] = bounded(mean, groups) if measure == "pointing" else mean
    return nested
