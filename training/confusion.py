"""The confusion matrix as a picture: one hue, dark for many, each count written out."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from training.scores import Ints

CONFUSION = "confusion.png"


def draw_confusion(matrix: Ints, class_names: Sequence[str], title: str, path: Path) -> None:
    """Write the matrix (right class by row, answer by column) to `path`; colour is the share of the row."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(6, 5.4), dpi=120, layout="constrained")
    axes = figure.subplots()
    drawn = axes.imshow(shares, cmap=mpl.colormaps["Blues"], vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        ink = "white" if shares[row, column] > 0.5 else "black"
        text = f"{count}\n{shares[row, column]:.1%}"
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=11)
    axes.set_xticks(range(len(class_names)), class_names)
    axes.set_yticks(range(len(class_names)), class_names)
    axes.set(xlabel="answered", ylabel="right", title=title)
    figure.colorbar(drawn, label="share of the right class", shrink=0.8)
    figure.savefig(path, metadata={"Software": None})
