"""The ROC curve of tumour against none as a picture, with the threshold's own point."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from training.data.index import Row
from training.intervals import Interval
from training.tumor import THRESHOLD, shows_tumor

ROC = "roc.png"


def draw_roc(
    rows: Sequence[Row], tumor: npt.NDArray[np.float64], figures: Mapping[str, Interval], of: str, path: Path
) -> None:
    """Write the curve of tumour probabilities (N,) to `path`; `figures` are theirs by `tumor_intervals`."""
    misses, hits, _ = roc_curve(shows_tumor(rows), tumor)
    figure = Figure(figsize=(5, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.plot(misses, hits, label=f"AUROC {figures['auroc'].value:.3f}")
    place = (1 - figures["specificity"].value, figures["sensitivity"].value)
    axes.plot(*place, "o", label=f"tumour probability ≥ {THRESHOLD}")
    axes.plot([0, 1], [0, 1], ":", color="grey")
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", title=f"Tumour or not: {of}")
    axes.legend(loc="lower right")
    figure.savefig(path, metadata={"Software": None})
