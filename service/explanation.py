"""What one explanation is: a wish checked against the card, the picture as the network saw it, the map drawn."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

from service.contract.cam import METHODS
from service.contract.card import Explain, InputSpec
from service.contract.geometry import Box, Point, box_of, peak_of, to_picture
from service.contract.preprocess import Slice, Square, content_square, to_grey
from service.errors import NotOffered
from service.explain_session import PREDICTED, Gradients
from service.images import read_slice
from service.overlay import COLORMAPS, DEFAULT_COLORMAP, overlay
from service.rows import json_rows

ALL = "all"
"""The target that stands for every class."""


@dataclass(frozen=True)
class Wish:
    """What a caller wants to see, in the card's terms; without a target, the class predicted."""

    target: str | None
    method: str
    layer: str
    colormap: str = DEFAULT_COLORMAP
    alpha: float = 0.5

    def targets(self, class_names: tuple[str, ...]) -> tuple[int, ...]:
        """Logit indices of the classes to explain; `PREDICTED` for the one predicted."""
        if self.target is None:
            return (PREDICTED,)
        return tuple(range(len(class_names))) if self.target == ALL else (class_names.index(self.target),)


class Seen(NamedTuple):
    """A picture as the network saw it: upright and grey, the square cut from it, and the network's input."""

    grey: Image.Image
    square: Square
    pixels: Slice


@dataclass(frozen=True)
class Explanation:
    """One class's map in the upright picture's geometry; `heatmap` is JSON rows, `overlay` a PNG.

    Where no place in the picture speaks for the class there is neither peak nor box.
    """

    target: str
    method: str
    layer: str
    heatmap: bytes
    peak: Point | None
    box: Box | None
    overlay: bytes

    @property
    def evidence(self) -> bool:
        """Whether any place in the picture speaks for the class."""
        return self.peak is not None


def check_wish(wish: Wish, class_names: tuple[str, ...], explain: Explain) -> None:
    """Raise `NotOffered`, with the list of what there is, where the wish names something else."""
    if wish.target is not None:
        _check("target", wish.target, (*class_names, ALL))
    _check("method", wish.method, explain.methods)
    _check("layer", wish.layer, explain.layers)
    _check("colormap", wish.colormap, COLORMAPS)


def see(content: bytes, spec: InputSpec, max_pixels: int, min_side: int) -> Seen:
    """The picture in `content` as the network sees it; raises the images' errors and `BlankImage`."""
    picture, pixels = read_slice(content, spec, max_pixels, min_side)
    grey = to_grey(picture)
    return Seen(grey, content_square(grey), pixels)


def draw(seen: Seen, gradients: Gradients, target: str, wish: Wish) -> Explanation:
    """The map for `target`, drawn; raises `ValueError` where the graph's answer is not finite."""
    cam = METHODS[wish.method](gradients.activations, gradients.gradients)
    heatmap = to_picture(cam, seen.square, seen.grey.width, seen.grey.height)
    return Explanation(
        target=target,
        method=wish.method,
        layer=wish.layer,
        heatmap=json_rows(heatmap),
        peak=peak_of(heatmap),
        box=box_of(heatmap),
        overlay=overlay(seen.grey, heatmap, wish.colormap, wish.alpha),
    )


def _check(name: str, wanted: str, offered: Collection[str]) -> None:
    if wanted not in offered:
        raise NotOffered(f"{name} is one of {', '.join(offered)}", parameter=name, offered=list(offered))
