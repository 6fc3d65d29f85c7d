"""Pictures without their tumour, and what little else a slice may be judged by."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.data.slices import Slices
from training.scores import Floats

Pixels = npt.NDArray[np.uint8]

FRAME = 1 / 8
"""Width of the frame that is shown, or hidden, as a share of the side."""
BINS = 32
CELLS = 16
"""Cells a side in which the frame's grey levels are averaged."""


def frame_of(side: int) -> npt.NDArray[np.bool_]:
    """True in the frame, False in the centre: (side, side)."""
    width = round(side * FRAME)
    inside = np.arange(side)
    middle = (inside >= width) & (inside < side - width)
    return ~(middle[:, None] & middle[None, :])


def border_only(pixels: Pixels) -> Pixels:
    """Slices (N, side, side) with a black centre."""
    return np.asarray(pixels * frame_of(pixels.shape[-1]), dtype=np.uint8)


def centre_only(pixels: Pixels) -> Pixels:
    """Slices (N, side, side) with a black frame."""
    return np.asarray(pixels * ~frame_of(pixels.shape[-1]), dtype=np.uint8)


def shape_features(slices: Slices) -> Floats:
    """Width, height and aspect of the original picture (N, 3)."""
    return np.array([[row.width, row.height, row.width / row.height] for row in slices.rows])


def mean_features(slices: Slices) -> Floats:
    """Mean grey level (N, 1)."""
    return np.asarray(slices.pixels.mean(axis=(1, 2), dtype=np.float64)[:, None])


def histogram_features(slices: Slices) -> Floats:
    """Shares of the pixels by grey level (N, BINS): which greys there are, not where."""
    return np.array([np.bincount(each.ravel() // (256 // BINS), minlength=BINS) / each.size for each in slices.pixels])


def border_features(slices: Slices) -> Floats:
    """Mean grey levels of the frame's cells (N, cells); the side must be a multiple of `CELLS`."""
    count, side = len(slices.rows), slices.pixels.shape[-1]
    cells = slices.pixels.reshape(count, CELLS, side // CELLS, CELLS, side // CELLS).mean(axis=(2, 4))
    return np.asarray(cells[:, frame_of(CELLS)])


def share_in_frame(masks: Sequence[Pixels]) -> Floats:
    """Of each tumour's area (N, side, side), the share that the frame leaves in sight (N,)."""
    areas = np.stack(list(masks)) > 127
    return np.asarray((areas & frame_of(areas.shape[-1])).sum(axis=(1, 2)) / np.maximum(areas.sum(axis=(1, 2)), 1))
