"""The maps that are judged: every method at every layer, as the service would draw them."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from rich.progress import track

from service.contract.cam import METHODS
from service.contract.geometry import Heatmap, to_picture
from service.contract.preprocess import Square
from training.judge.priors import CENTRE, EDGE, brain_edge, centred_disc

Pixels = npt.NDArray[np.uint8]
"""Slices (N, h, w)."""
Targets = npt.NDArray[np.int64]
Cams = npt.NDArray[np.float64]
"""Maps in a layer's own cells (N, h, w)."""
Heatmaps = Mapping[str, Callable[[int], Heatmap]]
"""Each kind of map by name: from a slice's place to its heatmap over the network's input."""

BATCH = 8


def cams_of(graphs: Mapping[str, Path], slices: Pixels, targets: Targets) -> dict[str, Cams]:
    """The maps of `method/layer` for the target of each slice, every method at every layer."""
    found: dict[str, Cams] = {}
    for layer, path in graphs.items():
        found |= _layer_cams(layer, path, slices, targets)
    return found


def heatmaps_of(cams: Mapping[str, Cams], side: int) -> Heatmaps:
    """The maps over a square input of `side` pixels, interpolated as `/explain` does."""

    def drawn(found: Cams) -> Callable[[int], Heatmap]:
        return lambda place: to_picture(found[place], Square(0, 0, side), side, side)

    return {name: drawn(found) for name, found in cams.items()}


def priors_of(slices: Pixels) -> Heatmaps:
    """The two maps that know no network."""
    disc = centred_disc(slices.shape[1])
    return {CENTRE: lambda _: disc, EDGE: lambda place: brain_edge(slices[place])}


def _layer_cams(layer: str, path: Path, slices: Pixels, targets: Targets) -> dict[str, Cams]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [f"activations:{layer}", f"gradients:{layer}"]
    rows = []
    for start in track(range(0, len(slices), BATCH), f"maps of layer {layer}"):
        part = slice(start, start + BATCH)
        outputs = session.run(names, {"image": np.ascontiguousarray(slices[part]), "target": targets[part]})
        rows += [[method(*pair) for method in METHODS.values()] for pair in zip(*outputs, strict=True)]
    return {f"{name}/{layer}": np.stack(cams) for name, cams in zip(METHODS, zip(*rows, strict=True), strict=True)}
