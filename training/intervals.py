"""How far a figure might have fallen otherwise: a bootstrap over groups."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from training.data.index import Row

LEVEL = 0.95
RESAMPLES = 2000

Chosen = npt.NDArray[np.intp]
"""Which slices count, by position; one may occur twice."""


class Interval(BaseModel):
    """A figure and the percentile interval of its resamples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float


def intervals(
    figures: Callable[[Chosen], dict[str, float]], rows: Sequence[Row], seed: int, resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """Each of `figures` on all rows, with its 95 % percentile interval (Efron & Tibshirani 1993, §13.3)."""
    values = figures(np.arange(len(rows)))
    drawn = [figures(chosen) for chosen in resample(rows, seed, resamples)]
    return {name: _interval(value, [draw[name] for draw in drawn]) for name, value in values.items()}


def bounded(rate: Interval, groups: int) -> Interval:
    """A rate of `groups` that no resample moved from 0 or 1, with the exact bound (Clopper & Pearson 1934) it lacks.

    A bootstrap cannot show what it has never seen: without this, 14 hits of 14 would read as certainty.
    """
    if not rate.low == rate.value == rate.high:
        return rate
    miss = 1 - ((1 - LEVEL) / 2) ** (1 / groups)
    if rate.value == 1:
        return rate.model_copy(update={"low": 1 - miss})
    return rate.model_copy(update={"high": miss}) if rate.value == 0 else rate


def resample(rows: Sequence[Row], seed: int, resamples: int) -> Iterator[Chosen]:
    """Draw groups with replacement, whole, and as many of each label as there are, so that no label vanishes."""
    draws = np.random.default_rng(seed)
    strata = _groups_by_label(rows)
    for _ in range(resamples):
        picked = [groups[i] for groups in strata for i in draws.integers(len(groups), size=len(groups))]
        yield np.concatenate(picked)


def _groups_by_label(rows: Sequence[Row]) -> list[list[Chosen]]:
    """For each label, the positions of each of its groups."""
    strata: defaultdict[str, defaultdict[tuple[str, str], list[int]]] = defaultdict(lambda: defaultdict(list))
    for position, row in enumerate(rows):
        strata[row.label][row.dataset, row.group].append(position)
    return [[np.array(members) for members in groups.values()] for groups in strata.values()]


def percentiles(drawn: Iterable[float]) -> tuple[float, float]:
    """Between which the middle 95 % lie."""
    low, high = np.quantile(list(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _interval(value: float, drawn: Iterable[float]) -> Interval:
    low, high = percentiles(drawn)
    return Interval(value=value, low=low, high=high)
