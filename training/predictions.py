"""The answers that figures rest on, slice by slice: `predictions.csv`."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from service.contract.probabilities import Probabilities
from training.errors import made_by
from training.measure import Predictions
from training.whole import whole

PREDICTIONS = "predictions.csv"


def write_predictions(predictions: Predictions, path: Path) -> None:
    """One line a slice, probabilities in as many digits as they have."""
    names = predictions.class_names
    with whole(path) as partial, partial.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["path", "dataset", "label", "predicted", *names])
        for row, answer, probs in zip(
            predictions.slices.rows, predictions.answers, predictions.calibrated.tolist(), strict=True
        ):
            writer.writerow([row.path, row.dataset, row.label, names[answer], *probs])


def read_predictions(run: Path) -> Sequence[dict[str, str]]:
    """The lines that `evaluate` wrote."""
    with made_by("evaluate", run / PREDICTIONS).open(newline="") as lines:
        return list(csv.DictReader(lines))


def told(lines: Sequence[dict[str, str]], names: Sequence[str]) -> Probabilities:
    """The probabilities (N, classes) that N lines hold, `names` ordering the columns."""
    return np.array([[float(line[name]) for name in names] for line in lines])
