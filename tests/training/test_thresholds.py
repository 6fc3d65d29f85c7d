import numpy as np
import pytest

from tests.training.test_tumor import ROWS, row
from training.tables import number
from training.thresholds import GRID, _halvings, threshold_lines, thresholds
from training.tumor import tumor_intervals


def tumor(seed: int) -> np.ndarray:
    """Probabilities that tell most slices apart, too high by far."""
    draws = np.random.default_rng(seed)
    return np.array([draws.uniform(0, 0.9) if of.label == "no_tumor" else draws.uniform(0.6, 1) for of in ROWS])


def test_each_threshold_calls_what_lies_at_it_or_above() -> None:
    given = tumor(1)
    given[0] = GRID[-1]
    shows = np.array([of.label != "no_tumor" for of in ROWS])
    for point in thresholds(ROWS, given, seed=1, resamples=50).points:
        called = given >= point.threshold
        assert point.sensitivity.value == pytest.approx(called[shows].mean())
        assert point.specificity.value == pytest.approx((~called[~shows]).mean())


def test_at_the_shared_threshold_figures_and_intervals_are_the_reports_own() -> None:
    given = tumor(2)
    figures = tumor_intervals(ROWS, given, seed=3, resamples=60)
    shared = next(of for of in thresholds(ROWS, given, seed=3, resamples=60).points if of.threshold == 0.5)
    assert (shared.sensitivity, shared.specificity) == (figures["sensitivity"], figures["specificity"])


def test_ones_own_threshold_finds_what_is_asked_of_slices_that_did_not_choose_it() -> None:
    rows = [row(label, f"{label}{i}") for label in ("glioma", "no_tumor") for i in range(400)]
    draws = np.random.default_rng(5)
    given = np.array([draws.uniform(0, 0.8) if of.label == "no_tumor" else draws.uniform(0.6, 1) for of in rows])
    own = thresholds(rows, given, seed=1, resamples=20).own
    assert own
    assert (own.aim, own.groups) == (0.95, 400)
    assert own.threshold.value == pytest.approx(0.62, abs=0.01)
    assert own.sensitivity.value == pytest.approx(0.95, abs=0.01)
    assert own.specificity.value == pytest.approx(0.62 / 0.8, abs=0.02)
    assert own.sensitivity.low < own.sensitivity.value < own.sensitivity.high


def test_what_chooses_and_what_measures_share_no_group_and_hold_both_kinds() -> None:
    rows = [row(label, f"{label}{i // 3}") for label in ("glioma", "no_tumor") for i in range(30)]
    for halves in _halvings(rows, seed=1):
        groups = [{rows[i].group for i in half} for half in halves]
        assert not groups[0] & groups[1]
        assert sorted(np.concatenate(halves)) == list(range(60))
        assert all(len({rows[i].label for i in half}) == 2 for half in halves)


def test_few_groups_choose_nothing() -> None:
    rows = [row(label, f"{label}{i}") for label in ("glioma", "no_tumor") for i in range(19)]
    assert thresholds(rows, np.linspace(1, 0, 38), seed=1, resamples=20).own is None


def test_there_is_a_line_a_threshold_and_one_for_ones_own() -> None:
    found = thresholds(ROWS, tumor(4), seed=1, resamples=20)
    *lines, (words, *rates) = threshold_lines(found)
    assert [float(at) for at, *_ in lines] == list(GRID)
    assert found.own
    assert words.startswith("one's own, chosen on 30 groups: ")
    assert rates == [number(found.own.sensitivity, 3), number(found.own.specificity, 3)]
