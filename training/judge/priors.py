"""Maps that know no network: what any explanation must beat."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from service.contract.geometry import Heatmap
from service.contract.preprocess import BORDER_LEVEL, Slice

CENTRE, EDGE = PRIORS = ("centred disc", "brain's edge")
EDGE_WIDTH = 1 / 20
"""Share of the side over which the edge fades: a gaussian's standard deviation."""


def centred_disc(side: int) -> Heatmap:
    """1 in the middle, falling evenly to 0 at the square's edge: at every threshold a disc."""
    places = (np.arange(side) + 0.5) / side * 2 - 1
    distance = np.hypot(places[:, None], places[None, :])
    return np.asarray(np.maximum(1 - distance, 0), np.float32)


def brain_edge(pixels: Slice) -> Heatmap:
    """1 along the outline of the head, fading to both sides; where the picture has no head, its own edge."""
    head = Image.fromarray(np.where(fill(pixels > BORDER_LEVEL), 255, 0).astype(np.uint8))
    soft = np.asarray(head.filter(ImageFilter.GaussianBlur(EDGE_WIDTH * len(pixels))), np.float32) / 255
    edge = 4 * soft * (1 - soft)
    return np.asarray(edge / max(edge.max(), 1e-6), np.float32)


def fill(bright: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Everything with something bright on both sides, in its row and in its column."""
    return np.asarray(_between(bright, 0) & _between(bright, 1))


def _between(bright: npt.NDArray[np.bool_], axis: int) -> npt.NDArray[np.bool_]:
    before = np.logical_or.accumulate(bright, axis=axis)
    after = np.flip(np.logical_or.accumulate(np.flip(bright, axis), axis=axis), axis)
    return np.asarray(before & after)
