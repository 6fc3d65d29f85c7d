"""Two answers to the same slices: what the one has over the other, with a paired bootstrap."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from service.contract.probabilities import NO_TUMOR, Probabilities, tumor_probability
from training import scores
from training.data.index import Row
from training.data.slices import Slices
from training.errors import DataError
from training.intervals import Chosen, intervals
from training.scores import Ints
from training.tumor import has_both, shows_tumor
from training.variants.report import Difference

TUMOR_AUROC = "tumour or not, AUROC"

Figures = Callable[[Probabilities, Chosen], dict[str, float]]
"""Figures of answers (n, classes) to the slices at `Chosen`."""


def refuse_other_classes(of: Path, run: Path, base: Sequence[str], variant: Sequence[str]) -> None:
    """Raise `DataError` where the classes of `of` (`base`) are not those of `run` (`variant`), in their order."""
    if base != variant:
        raise DataError(f"{of} and {run} answer other classes: {base}, {variant}")


def paired(
    figures: Figures, base: Probabilities, variant: Probabilities, rows: Sequence[Row], *, seed: int, resamples: int
) -> dict[str, Difference]:
    """`figures` of both answers (N, classes) to `rows`, and of each the difference; both are resampled alike."""

    def difference(chosen: Chosen) -> dict[str, float]:
        ours, theirs = figures(base[chosen], chosen), figures(variant[chosen], chosen)
        return {name: theirs[name] - ours[name] for name in ours}

    everything = np.arange(len(rows))
    ours, theirs = figures(base, everything), figures(variant, everything)
    found = intervals(difference, rows, seed, resamples)
    return {name: Difference(base=ours[name], variant=theirs[name], difference=of) for name, of in found.items()}


def of_classes(targets: Ints, names: Sequence[str]) -> Figures:
    """The named ones of `scores.class_figures`, for slices of known class `targets` (N)."""

    def figures(probs: Probabilities, chosen: Chosen) -> dict[str, float]:
        found = scores.class_figures(probs, targets[chosen])
        return {name: found[name] for name in names}

    return figures


def asks_both(slices: Slices, class_names: Sequence[str]) -> bool:
    """Whether tumour or not can be asked: a class stands for none, and `slices` hold some of either kind."""
    return NO_TUMOR in class_names and has_both(slices.rows)


def of_tumors(slices: Slices, class_names: Sequence[str]) -> Figures:
    """The AUROC of the tumour probability over `slices`, which hold some with a tumour and some without."""
    shows = shows_tumor(slices.rows)

    def figures(probs: Probabilities, chosen: Chosen) -> dict[str, float]:
        tumor = tumor_probability(probs, class_names)
        return {TUMOR_AUROC: scores.area_under_roc(tumor, shows[chosen])}

    return figures
