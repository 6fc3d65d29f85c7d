from itertools import islice

import numpy as np
import pytest

from training.data.index import Row
from training.intervals import Chosen, Interval, bounded, intervals, resample


def row(label: str, group: str) -> Row:
    return Row("drawn", f"{label}/{group}.png", label, group, 5, 8, 8, "0" * 64)


ROWS = [row("no_tumor", f"n{i // 5}") for i in range(50)] + [row("glioma", f"g{i}") for i in range(20)]


def test_a_group_is_drawn_whole() -> None:
    for chosen in resample(ROWS, seed=1, resamples=20):
        counts = np.bincount(chosen, minlength=len(ROWS))[:50].reshape(10, 5)
        assert (counts == counts[:, :1]).all()


def test_every_label_keeps_its_number_of_groups() -> None:
    for chosen in resample(ROWS, seed=1, resamples=20):
        assert np.count_nonzero(chosen < 50) == 50
        assert np.count_nonzero(chosen >= 50) == 20


def test_the_same_seed_draws_the_same() -> None:
    first, again = (np.concatenate(list(islice(resample(ROWS, 4, 9), 9))) for _ in range(2))
    other = np.concatenate(list(resample(ROWS, 5, 9)))
    assert (first == again).all()
    assert (first != other).any()


def test_an_interval_holds_its_value_and_is_wider_over_groups_than_over_slices() -> None:
    right = np.array([float(i // 5 % 2) for i in range(50)])

    def share(chosen: Chosen) -> dict[str, float]:
        return {"share": float(right[chosen].mean())}

    grouped = intervals(share, ROWS[:50], seed=1, resamples=1000)["share"]
    single = intervals(share, [row("no_tumor", str(i)) for i in range(50)], seed=1, resamples=1000)["share"]
    assert grouped.low < grouped.value == single.value == 0.5 < grouped.high
    assert grouped.high - grouped.low > 1.5 * (single.high - single.low)


def test_an_interval_of_slices_alone_is_as_wide_as_theory_says() -> None:
    rows = [row("no_tumor", str(i)) for i in range(400)]
    right = np.arange(400) % 4 == 0
    found = intervals(lambda chosen: {"share": float(right[chosen].mean())}, rows, seed=2, resamples=2000)["share"]
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(0.25 * 0.75 / 400), rel=0.1)


@pytest.mark.parametrize(("value", "low", "high"), [(1.0, 0.025 ** (1 / 14), 1.0), (0.0, 0.0, 1 - 0.025 ** (1 / 14))])
def test_a_rate_that_no_resample_moved_is_not_called_certain(value: float, low: float, high: float) -> None:
    certain = Interval(value=value, low=value, high=value)
    found = bounded(certain, 14)
    assert found.value == value
    assert (found.low, found.high) == pytest.approx((low, high))


def test_a_rate_that_moved_keeps_its_interval() -> None:
    moved = Interval(value=1.0, low=0.9, high=1.0)
    assert bounded(moved, 14) == moved
