"""A page of examples drawn by lot: the default map on the tumour, beside it, and where the class is wrong."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from service.contract.geometry import Heatmap, peak_of
from training.config import Recipe
from training.data.provenance import ATTRIBUTION, PUBLISHABLE
from training.judge.measures import pointing
from training.judge.tumors import Tumors

PAGE = "explanations.png"
EXAMPLES = 4


def draw_page(run: Path, recipe: Recipe, tumors: Tumors, heatmap_of: Callable[[int], Heatmap], name: str) -> Path:
    """Write `<run>/explanations.png`: a row an example with picture, outline and map."""
    examples = _examples(tumors, heatmap_of, recipe.seed)
    rows = [(title, place) for title, places in examples.items() for place in places]
    figure = Figure(figsize=(7.2, 2.5 * max(len(rows), 1) + 0.8), dpi=90, layout="constrained")
    figure.suptitle(f"{recipe.name}: {name}\nnever a segmentation: where the network found evidence", fontsize=10)
    panels = figure.subplots(max(len(rows), 1), 3, squeeze=False)
    for axes in panels.flat:
        axes.axis("off")
    for panel, (title, place) in zip(panels, rows, strict=False):
        _draw(panel, tumors, place, heatmap_of(place), title=title, names=recipe.class_names)
    figure.supxlabel(ATTRIBUTION, fontsize=7)
    figure.savefig(run / PAGE, metadata={"Software": None})
    return run / PAGE


def _examples(tumors: Tumors, heatmap_of: Callable[[int], Heatmap], seed: int) -> dict[str, Sequence[int]]:
    """Places of at most `EXAMPLES` slices of each kind, drawn by lot among those that may be shown."""
    shown = np.array([row.dataset in PUBLISHABLE for row in tumors.rows])
    inside = np.array([pointing(heatmap_of(place), tumors.inside[place]) > 0 for place in range(len(shown))])
    draws = np.random.default_rng(seed)
    kinds = {
        "points at the tumour": shown & tumors.right & inside,
        "points elsewhere": shown & tumors.right & ~inside,
        "misclassified": shown & tumors.misclassified,
    }
    return {title: _draw_lots(keep, draws) for title, keep in kinds.items()}


def _draw_lots(keep: npt.NDArray[np.bool_], draws: np.random.Generator) -> Sequence[int]:
    places = np.flatnonzero(keep)
    return sorted(draws.choice(places, min(EXAMPLES, len(places)), replace=False).tolist())


def _draw(
    panel: Sequence[Axes], tumors: Tumors, place: int, heatmap: Heatmap, *, title: str, names: Sequence[str]
) -> None:
    row, answer = tumors.rows[place], names[tumors.predicted[place]]
    for axes in panel:
        axes.imshow(tumors.slices.pixels[place], cmap="gray", vmin=0, vmax=255)
    for axes in panel[1:]:
        axes.contour(tumors.inside[place], levels=[0.5], colors="white", linewidths=0.8)
    panel[2].imshow(heatmap, cmap=mpl.colormaps["viridis"], alpha=0.7 * heatmap, vmin=0, vmax=1)
    if peak := peak_of(heatmap):
        panel[2].plot(peak.x, peak.y, "+", color="red")
    panel[0].set_title(f"{title}\n{row.path}", fontsize=7)
    panel[1].set_title(f"outline of the {row.label}", fontsize=7)
    panel[2].set_title(f"map and peak for {answer},\nthe class answered", fontsize=7)
