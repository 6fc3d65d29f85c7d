"""From a network's answers on the test folds to the figures of a report."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.contract.probabilities import NO_TUMOR, Probabilities, probabilities, tumor_probability
from training import scores
from training.data.index import NO_FOLD, Row
from training.data.slices import Slices, allowed_classes
from training.intervals import Chosen, Interval, bounded, intervals
from training.report import Baseline, ClassFigures, Source, TumorOrNot
from training.thresholds import thresholds
from training.tumor import THRESHOLD, has_both, tumor_intervals

ALL = "all test folds"


@dataclass(frozen=True)
class Predictions:
    """Answers to some slices (N), before and after the temperature; `class_names` orders the columns."""

    slices: Slices
    raw: Probabilities
    calibrated: Probabilities
    class_names: Sequence[str]

    @classmethod
    def of(
        cls, slices: Slices, logits: npt.NDArray[np.float32], temperature: float, names: Sequence[str]
    ) -> "Predictions":
        """From logits (N, classes)."""
        return cls(slices, probabilities(logits, 1.0), probabilities(logits, temperature), names)

    @classmethod
    def told(cls, rows: Sequence[Row], probs: Probabilities, names: Sequence[str]) -> "Predictions":
        """From the probabilities (N, classes) of slices whose pixels are not at hand."""
        allowed = np.stack([allowed_classes(row.label, names) for row in rows])
        return cls(Slices(rows, np.zeros((len(rows), 0, 0), np.uint8), allowed), probs, probs, names)

    def select(self, keep: npt.NDArray[np.bool_]) -> "Predictions":
        """Those where `keep` (N,) holds."""
        return Predictions(self.slices.select(keep), self.raw[keep], self.calibrated[keep], self.class_names)

    def dealt(self) -> "Predictions":
        """Those of the test folds alone, without sources left out whole."""
        return self.select(np.array([row.fold != NO_FOLD for row in self.slices.rows]))

    @property
    def answers(self) -> scores.Ints:
        """Index of the most probable class (N,)."""
        return np.asarray(self.calibrated.argmax(axis=1))

    @property
    def tumor(self) -> Probabilities:
        """Tumour probability (N,)."""
        return tumor_probability(self.calibrated, self.class_names)


def known_figures(known: Predictions, seed: int, resamples: int) -> dict[str, Interval]:
    """All figures of slices of known class; a figure of one class is named `precision/glioma`."""
    targets = known.slices.targets

    def figures(chosen: Chosen) -> dict[str, float]:
        probs, raw, right = known.calibrated[chosen], known.raw[chosen], targets[chosen]
        return {
            **_labels(probs, right, known.class_names),
            "auroc": scores.auroc(probs, right),
            "ece": scores.expected_calibration_error(probs, right),
            "ece_uncalibrated": scores.expected_calibration_error(raw, right),
            "nll": scores.negative_log_likelihood(probs, right),
            "nll_uncalibrated": scores.negative_log_likelihood(raw, right),
            "brier": scores.brier(probs, right),
            "brier_uncalibrated": scores.brier(raw, right),
        }

    return _with_bounds(intervals(figures, known.slices.rows, seed, resamples), known.slices.rows)


def by_class(figures: dict[str, Interval], rows: Sequence[Row], names: Sequence[str]) -> dict[str, ClassFigures]:
    """The figures that belong to one class each."""
    support, groups = count(rows)
    return {
        name: ClassFigures(
            precision=bounded(figures[f"precision/{name}"], groups[name]),
            recall=bounded(figures[f"recall/{name}"], groups[name]),
            f1=bounded(figures[f"f1/{name}"], groups[name]),
            support=support[name],
        )
        for name in names
    }


def baseline(probs: Probabilities, known: Predictions, seed: int, resamples: int) -> Baseline:
    """The figures of a trivial answer to the same slices."""
    targets = known.slices.targets

    def figures(chosen: Chosen) -> dict[str, float]:
        labels = _labels(probs[chosen], targets[chosen], known.class_names)
        area = scores.auroc(probs[chosen], targets[chosen])
        return {"accuracy": labels["accuracy"], "macro_f1": labels["macro_f1"], "auroc": area}

    return Baseline(**_with_bounds(intervals(figures, known.slices.rows, seed, resamples), known.slices.rows))


def by_source(predictions: Predictions, seed: int, resamples: int) -> tuple[Source, ...]:
    """Tumour or not, for each dataset and label; nothing where the network only tells tumours apart."""
    if NO_TUMOR not in predictions.class_names:
        return ()
    kinds = [(row.dataset, row.label) for row in predictions.slices.rows]
    chosen = {kind: np.array([other == kind for other in kinds]) for kind in sorted(set(kinds))}
    return tuple(_source(predictions.select(keep), seed, resamples) for keep in chosen.values())


def by_dataset(predictions: Predictions, seed: int, resamples: int) -> tuple[TumorOrNot, ...]:
    """Tumour or not, for each dataset that holds both, and for all of what was not left out."""
    rows = predictions.slices.rows
    names = np.array([row.dataset for row in rows])
    parts = {str(name): predictions.select(names == name) for name in sorted(set(names))}
    asked = parts | {ALL: predictions.dealt()}
    return tuple(
        _tumor_or_not(name, chosen, seed, resamples) for name, chosen in asked.items() if has_both(chosen.slices.rows)
    )


def count(rows: Sequence[Row]) -> tuple[dict[str, int], dict[str, int]]:
    """Slices, and groups of slices, by label."""
    labels = sorted({row.label for row in rows})
    slices = {label: sum(row.label == label for row in rows) for label in labels}
    groups = {label: len({(row.dataset, row.group) for row in rows if row.label == label}) for label in labels}
    return slices, groups


def _with_bounds(found: dict[str, Interval], rows: Sequence[Row]) -> dict[str, Interval]:
    """The figures, those over all classes with the bound that they lack where no resample moved them from 0 or 1."""
    groups = count(rows)[1].values()
    asked = {"accuracy": sum(groups), "macro_f1": sum(groups), "auroc": min(groups)}
    return found | {name: bounded(found[name], number) for name, number in asked.items()}


def _tumor_or_not(name: str, asked: Predictions, seed: int, resamples: int) -> TumorOrNot:
    rows = asked.slices.rows
    return TumorOrNot(
        dataset=name,
        left_out=all(row.fold == NO_FOLD for row in rows),
        slices=len(rows),
        figures=tumor_intervals(rows, asked.tumor, seed, resamples),
        thresholds=thresholds(rows, asked.tumor, seed, resamples),
    )


def _labels(probs: Probabilities, targets: scores.Ints, names: Sequence[str]) -> dict[str, float]:
    matrix = scores.confusion_matrix(probs.argmax(axis=1), targets, len(names))
    kinds = dict(zip(("precision", "recall", "f1"), scores.precision_recall_f1(matrix), strict=True))
    per_class = {f"{kind}/{name}": float(values[i]) for kind, values in kinds.items() for i, name in enumerate(names)}
    return {"accuracy": scores.accuracy(matrix), "macro_f1": float(kinds["f1"].mean()), **per_class}


def _source(asked: Predictions, seed: int, resamples: int) -> Source:
    row = asked.slices.rows[0]
    shows_tumor = row.label != NO_TUMOR
    by_label = (asked.answers != list(asked.class_names).index(NO_TUMOR)) == shows_tumor
    by_probability = (asked.tumor >= THRESHOLD) == shows_tumor

    def figures(chosen: Chosen) -> dict[str, float]:
        return {
            "by_label": float(by_label[chosen].mean()),
            "by_probability": float(by_probability[chosen].mean()),
            "mean_tumor_probability": float(asked.tumor[chosen].mean()),
        }

    groups = len({other.group for other in asked.slices.rows})
    found = intervals(figures, asked.slices.rows, seed, resamples)
    return Source(
        dataset=row.dataset,
        label=row.label,
        question="sensitivity" if shows_tumor else "specificity",
        slices=len(asked.slices.rows),
        groups=groups,
        by_label=bounded(found["by_label"], groups),
        by_probability=bounded(found["by_probability"], groups),
        mean_tumor_probability=found["mean_tumor_probability"],
    )
