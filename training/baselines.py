"""Trivial answers that have no idea of tumours: what they reach, the data give away."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from service.contract.preprocess import to_grey
from training.data.index import Row
from training.scores import Floats, Ints

MAJORITY = "majority_class"
LOGISTIC = "logistic_regression"

PERCENTILES = (5, 25, 50, 75, 95)


def majority(targets: Ints, rows: int, classes: int) -> Floats:
    """The classes' shares among the training `targets`, for each of `rows` alike: (rows, classes)."""
    shares = np.bincount(targets, minlength=classes) / len(targets)
    return np.tile(shares, (rows, 1))


def logistic(seen: Floats, targets: Ints, asked: Floats, classes: int) -> Floats:
    """Logistic regression on standardised features (N, F), fitted on `seen`: probabilities (len(asked), classes)."""
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    regression.fit(seen, targets)
    probs = np.zeros((len(asked), classes))
    probs[:, regression.classes_] = regression.predict_proba(asked)
    return probs


def trivial(seen: Floats, targets: Ints, asked: Floats, classes: int) -> dict[str, Floats]:
    """Each baseline's answers to pictures of the features `asked` (n, F), fitted on `seen` (N, F) of `targets` (N,)."""
    return {
        MAJORITY: majority(targets, len(asked), classes),
        LOGISTIC: logistic(seen, targets, asked, classes),
    }


def features(rows: Sequence[Row], root: Path) -> Floats:
    """Width, height, aspect, mean grey level and grey percentiles of the original pictures: (N, 9)."""

    def read(row: Row) -> list[float]:
        with Image.open(root / row.path) as image:
            grey = np.asarray(to_grey(image))
        height, width = grey.shape
        return [width, height, width / height, float(grey.mean()), *np.percentile(grey, PERCENTILES)]

    with ThreadPoolExecutor() as pool:
        return np.array(list(track(pool.map(read, rows), "picture statistics", total=len(rows))))
