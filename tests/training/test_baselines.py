from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.baselines import features, logistic, majority
from training.data.index import Row


def test_the_majority_answers_with_the_training_shares() -> None:
    probs = majority(np.array([0, 0, 0, 2]), rows=2, classes=3)
    assert probs.tolist() == [[0.75, 0, 0.25]] * 2


def test_logistic_regression_learns_from_size_and_leaves_unseen_classes_at_zero() -> None:
    seen = np.array([[512.0, 512.0], [510.0, 512.0], [225.0, 300.0], [220.0, 310.0]])
    probs = logistic(seen, np.array([0, 0, 2, 2]), np.array([[511.0, 511.0], [222.0, 305.0]]), classes=3)
    assert probs.argmax(axis=1).tolist() == [0, 2]
    assert probs.sum(axis=1) == pytest.approx([1, 1])
    assert probs[:, 1].tolist() == [0, 0]


def test_features_are_size_aspect_mean_and_percentiles_of_the_original(tmp_path: Path) -> None:
    grey = np.arange(100, dtype=np.uint8).reshape(5, 20)
    Image.fromarray(grey).save(tmp_path / "a.png")
    found = features([Row("drawn", "a.png", "glioma", "0", 1, 20, 5, "0" * 64)], tmp_path)
    assert found[0] == pytest.approx([20, 5, 4, 49.5, *np.percentile(grey, (5, 25, 50, 75, 95))])
