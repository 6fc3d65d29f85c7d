import numpy as np
import pytest

from training.data.index import Row
from training.tumor import has_both, tumor_auroc, tumor_intervals


def row(label: str, group: str) -> Row:
    return Row("drawn", f"{label}/{group}.png", label, group, 1, 8, 8, "0" * 64)


ROWS = [row(label, f"{label}{i}") for label in ("glioma", "no_tumor", "tumor") for i in range(20)]


def test_a_perfect_order_at_a_shifted_threshold_shows_as_such() -> None:
    tumor = np.array([0.4 if row.label == "no_tumor" else 0.45 + 0.01 * i for i, row in enumerate(ROWS)])
    found = tumor_intervals(ROWS, tumor, seed=1, resamples=200)
    assert found["auroc"].value == found["specificity_at_95"].value == 1
    assert found["sensitivity"].value == 35 / 40
    assert found["specificity"].value == 1
    assert found["specificity"].low == pytest.approx(0.025 ** (1 / 20))


@pytest.mark.parametrize("seed", range(3))
def test_a_perfect_order_is_exactly_one_and_as_uncertain_as_the_fewest_groups_leave_it(seed: int) -> None:
    draws = np.random.default_rng(seed)
    tumor = np.array([draws.uniform(0, 0.5) if row.label == "no_tumor" else draws.uniform(0.5, 1) for row in ROWS])
    for found in (tumor_intervals(ROWS, tumor, 1, 50)["auroc"], tumor_auroc(ROWS, tumor, 1, 50)):
        assert (found.value, found.high) == (1, 1)
        assert found.low == pytest.approx(0.025 ** (1 / 20))


@pytest.mark.parametrize(("tumors", "missed"), [(10, 0), (20, 1), (38, 1), (40, 2)])
def test_specificity_is_read_off_where_sensitivity_is_not_below_what_is_promised(tumors: int, missed: int) -> None:
    """Tumours lie at 0.5, 1.5 and so on, slices without one at 1, 2 and so on: a miss wins a slice."""
    rows = [row("glioma", f"g{i}") for i in range(tumors)] + [row("no_tumor", f"n{i}") for i in range(10)]
    tumor = np.array([*(i + 0.5 for i in range(tumors)), *(i + 1.0 for i in range(10))])
    found = tumor_intervals(rows, tumor, seed=1, resamples=20)["specificity_at_95"]
    assert missed <= 0.05 * tumors
    assert found.value == missed / 10


def test_types_of_tumour_do_not_matter_and_one_kind_alone_is_told() -> None:
    assert has_both(ROWS)
    assert not has_both([row for row in ROWS if row.label != "no_tumor"])
