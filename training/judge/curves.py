"""Deletion and insertion (Petsiuk et al. 2018): does the network need what a map shows, and is that enough for it?"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter
from rich.progress import track

from service.contract.geometry import Heatmap
from service.contract.preprocess import Slice
from service.contract.probabilities import Probabilities, probabilities
from training.graph import Graph
from training.judge.maps import BATCH, Heatmaps
from training.judge.measures import Floats
from training.judge.tumors import Tumors

SHARES = (0.0, 0.03, 0.1, 0.2, 0.4, 1.0)
"""Shares of a slice's pixels that are taken away, or brought back, in the order of the map."""
BLUR = 1 / 10
"""What takes a pixel's place: the slice blurred by a gaussian of this share of its side."""


def curve_columns(
    graph: Graph, temperature: float, heatmaps: Heatmaps, tumors: Tumors, places: Sequence[int]
) -> dict[str, dict[str, Floats]]:
    """For each kind of map, `deletion` and `insertion` of the tumours at `places` (places,), of the class answered."""
    areas = []
    for place in track(places, "deletion and insertion"):
        steps = all_steps(tumors.slices.pixels[place], (of(place) for of in heatmaps.values()))
        probs = probabilities(graph(steps, BATCH).logits, temperature)[:, tumors.predicted[place]]
        areas.append(areas_under(probs))
    columns = np.stack(areas)
    return {name: {"deletion": columns[:, i, 0], "insertion": columns[:, i, 1]} for i, name in enumerate(heatmaps)}


def all_steps(pixels: Slice, heatmaps: Iterable[Heatmap]) -> npt.NDArray[np.uint8]:
    """The slice, the slice without detail, and for each map what lies between: on the way there and on the way back."""
    blurred = blur(pixels)
    between = [
        step
        for heatmap in heatmaps
        for start, end in ((pixels, blurred), (blurred, pixels))
        for step in replaced(start, end, heatmap)
    ]
    return np.stack([pixels, blurred, *between])


def areas_under(probs: Probabilities) -> Floats:
    """From the probabilities of `all_steps` the areas under deletion (low is good) and insertion: (maps, 2)."""
    whole, blurred, between = probs[0], probs[1], probs[2:].reshape(-1, 2, len(SHARES) - 2)
    starts = np.broadcast_to([[[whole], [blurred]]], (len(between), 2, 1))
    curves = np.concatenate([starts, between, starts[:, ::-1]], axis=2)
    return np.asarray(np.trapezoid(curves, SHARES, axis=2))


def replaced(pixels: Slice, instead: Slice, heatmap: Heatmap) -> list[Slice]:
    """The slice with each inner share of its pixels replaced, the map's highest first, equal ones in random order."""
    lots = np.random.default_rng(0).permutation(heatmap.size)
    order = np.lexsort((lots, -heatmap.ravel()))
    rank = np.empty_like(order)
    rank[order] = np.arange(heatmap.size)
    ranks = rank.reshape(heatmap.shape)
    return [np.where(ranks < round(share * heatmap.size), instead, pixels) for share in SHARES[1:-1]]


def blur(pixels: Slice) -> Slice:
    """The slice without detail: what is left says where a head is, and little of what is in it."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(BLUR * len(pixels))))
