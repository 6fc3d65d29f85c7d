"""From a map over the network's input back to the picture: `preprocess`'s crop, pad and resize undone."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from service.contract.cam import Cam
from service.contract.preprocess import Square

Heatmap = npt.NDArray[np.float32]
"""A map over the upright picture, (height, width), from 0 to 1."""

PLATEAU = 1e-3
"""Share of the maximum by which places may differ and still count as equally high."""


class Point(NamedTuple):
    """A pixel of the upright picture."""

    x: int
    y: int


class Box(NamedTuple):
    """Pixels from (left, top) up to, and without, (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int


def to_picture(cam: Cam, square: Square, width: int, height: int) -> Heatmap:
    """The map as the heatmap of a `width` × `height` picture of which the network saw `square`.

    1 is the map's highest value. Between the centres of the map's cells it is interpolated linearly; the outer cells
    reach to the square's edge. Pixels outside the square are 0, and so is everything where the map has no evidence.
    """
    peak = cam.max()
    scaled = np.divide(cam, peak, out=np.zeros_like(cam), where=peak > 0).astype(np.float32)
    across, down = cam.shape[1] / square.side, cam.shape[0] / square.side
    to_cell = (across, 0.0, -square.left * across, 0.0, down, -square.top * down)
    heatmap = Image.fromarray(scaled).transform(
        (width, height), Image.Transform.AFFINE, to_cell, Image.Resampling.BILINEAR
    )
    return np.asarray(heatmap).clip(0.0, 1.0)


def peak_of(heatmap: Heatmap) -> Point | None:
    """The highest pixel; of several equally high ones that nearest to their middle; None without evidence."""
    if not heatmap.any():
        return None
    rows, columns = np.nonzero(heatmap >= heatmap.max() * (1 - PLATEAU))
    middle = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return Point(int(columns[middle]), int(rows[middle]))


def box_of(heatmap: Heatmap) -> Box | None:
    """The smallest box around every pixel of at least half the maximum; None without evidence."""
    if not heatmap.any():
        return None
    high = heatmap >= heatmap.max() / 2
    rows, columns = np.flatnonzero(high.any(axis=1)), np.flatnonzero(high.any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
