import numpy as np
import pytest

from training.judge.curves import SHARES, all_steps, areas_under, replaced

PIXELS = np.random.default_rng(1).integers(0, 256, (20, 20), np.uint8)
HEATMAP = (np.arange(400).reshape(20, 20)[::-1] / 400).astype(np.float32)
"""Highest in the first row."""


def test_the_maps_highest_pixels_go_first() -> None:
    steps = replaced(PIXELS, 255 - PIXELS, HEATMAP)
    assert [int((step != PIXELS).sum()) for step in steps] == [round(share * 400) for share in SHARES[1:-1]]
    assert np.array_equal(steps[1][:2], 255 - PIXELS[:2])
    assert np.array_equal(steps[1][2:], PIXELS[2:])


def test_pixels_of_equal_height_go_in_no_order_of_place() -> None:
    gone = replaced(PIXELS, 255 - PIXELS, np.zeros((20, 20), np.float32))[2] != PIXELS
    assert 20 < gone[:10].sum() < 60


def test_areas_are_those_under_the_curves_from_whole_to_blurred_and_back() -> None:
    inner = len(SHARES) - 2
    assert len(all_steps(PIXELS, [HEATMAP, HEATMAP])) == 2 + 2 * 2 * inner
    probs = np.array([1.0, 0.0, *[0.0] * inner, *[1.0] * inner])
    ((deletion, insertion),) = areas_under(probs)
    assert deletion == pytest.approx(SHARES[1] / 2)
    assert insertion == pytest.approx(1 - SHARES[1] / 2)
