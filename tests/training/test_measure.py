import numpy as np
import pytest

from training.data.index import Row
from training.data.slices import Slices
from training.measure import Predictions, baseline, known_figures


def row(label: str, number: int) -> Row:
    return Row("drawn", f"{label}/{number}.png", label, f"{label}{number}", 1, 8, 8, "0" * 64)


def test_answers_that_are_all_right_are_not_called_certain() -> None:
    """Nor a trivial answer's, where sizes give the label away."""
    rows = [row("no_tumor", i) for i in range(30)] + [row("tumor", i) for i in range(10)]
    right = np.array([[row.label == name for name in ("no_tumor", "tumor")] for row in rows])
    slices = Slices(rows, np.zeros((40, 0, 0), np.uint8), right)
    probs = np.where(right, 0.9, 0.1)
    predictions = Predictions(slices, probs, probs, ("no_tumor", "tumor"))
    found = known_figures(predictions, seed=1, resamples=50)
    trivial = baseline(probs, predictions, seed=1, resamples=50)
    for name, groups in {"accuracy": 40, "macro_f1": 40, "auroc": 10}.items():
        for interval in (found[name], getattr(trivial, name)):
            assert (interval.value, interval.high) == (1, 1)
            assert interval.low == pytest.approx(0.025 ** (1 / groups))
