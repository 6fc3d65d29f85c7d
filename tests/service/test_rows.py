import json

import numpy as np
import pytest

from service.rows import json_rows


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (30, 41)])
def test_rows_are_the_heatmap_to_three_decimals(shape: tuple[int, int]) -> None:
    heatmap = np.random.default_rng(1).random(shape).astype(np.float32)
    rows = json.loads(json_rows(heatmap))
    assert np.shape(rows) == shape
    assert np.asarray(rows) == pytest.approx(np.round(heatmap.astype(np.float64), 3))


def test_both_ends_are_written_exactly() -> None:
    assert json_rows(np.array([[0, 1], [0.5, 0.9999]], np.float32)) == b"[[0.000,1.000],[0.500,1.000]]"
