"""Figures of merit: from probabilities (N, classes) and right answers (N,) to one number each."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def confusion_matrix(answers: Ints, targets: Ints, classes: int) -> Ints:
    """How often target (row) was answered so (column): (classes, classes)."""
    return np.bincount(targets * classes + answers, minlength=classes**2).reshape(classes, classes)


def accuracy(matrix: Ints) -> float:
    """Share of right answers."""
    return float(np.trace(matrix) / matrix.sum())


def precision_recall_f1(matrix: Ints) -> tuple[Floats, Floats, Floats]:
    """Per class (classes,); 0 where a class was never answered or never right."""
    right = np.diag(matrix).astype(np.float64)
    answered, present = matrix.sum(axis=0), matrix.sum(axis=1)
    return (
        right / np.maximum(answered, 1),
        right / np.maximum(present, 1),
        2 * right / np.maximum(answered + present, 1),
    )


def auroc(probs: Floats, targets: Ints) -> float:
    """Area under the ROC curve, one class against the rest, mean over classes; all must occur."""
    return float(np.mean([area_under_roc(probs[:, c], targets == c) for c in range(probs.shape[1])]))


def expected_calibration_error(probs: Floats, targets: Ints, bins: int = 15) -> float:
    """Mean gap between top probability and accuracy over equal-width bins (Guo et al. 2017, eq. 3)."""
    top, right = probs.max(axis=1), probs.argmax(axis=1) == targets
    bin_of = np.clip(np.ceil(top * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, weights=right - top, minlength=bins)
    return float(np.abs(gaps).sum() / len(targets))


def negative_log_likelihood(probs: Floats, targets: Ints) -> float:
    """Mean −ln p of the right class."""
    right = probs[np.arange(len(targets)), targets]
    return float(-np.log(np.maximum(right, np.finfo(np.float64).tiny)).mean())


def brier(probs: Floats, targets: Ints) -> float:
    """Mean squared distance to the right answer, summed over classes (Brier 1950): 0 to 2."""
    return float(((probs - np.eye(probs.shape[1])[targets]) ** 2).sum(axis=1).mean())


def area_under_roc(values: Floats, positive: npt.NDArray[np.bool_]) -> float:
    """The Mann-Whitney statistic: chance that a positive lies above a negative, ties counting half; no rounding."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    n, m = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def class_figures(probs: Floats, targets: Ints) -> dict[str, float]:
    """What one says first of probabilities (N, classes): accuracy, macro-F1, calibration error and log-likelihood."""
    matrix = confusion_matrix(probs.argmax(axis=1), targets, probs.shape[1])
    return {
        "accuracy": accuracy(matrix),
        "macro_f1": float(precision_recall_f1(matrix)[2].mean()),
        "ece": expected_calibration_error(probs, targets),
        "nll": negative_log_likelihood(probs, targets),
    }
