"""From a decoded picture to the network's input: the one function that training and serving share."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from service.contract.card import InputSpec

Slice = npt.NDArray[np.uint8]
"""One network input, shape (height, width), 8-bit grey."""

BORDER_LEVEL = 16
"""Grey level up to which a pixel counts as dark border; JPEG noise on black stays below it."""
BORDER_SHARE = 0.01
"""Share of a row or column that must be brighter than `BORDER_LEVEL` for it to be kept."""


class Square(NamedTuple):
    """The square cut from the upright picture, in its pixels; it may reach past the edges."""

    left: int
    top: int
    side: int


def preprocess(image: Image.Image, spec: InputSpec) -> Slice:
    """Grey, dark border cropped, padded to a square, resized once: uint8 of shape (height, width)."""
    grey = to_grey(image)
    square = content_square(grey)
    return resize_square(grey, square, spec)


def to_grey(image: Image.Image) -> Image.Image:
    """The picture upright (EXIF orientation) in mode L; transparency falls on black.

    Pictures deeper than 8 bits are stretched from their own darkest to their brightest pixel, since
    12-bit MRI stored in 16 bits would otherwise come out black.
    """
    upright = ImageOps.exif_transpose(image)
    if upright.mode == "L" and "transparency" not in upright.info:
        return upright
    if upright.mode.startswith(("I", "F")):
        return _stretch(upright)
    if upright.has_transparency_data:
        rgba = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", rgba.size, "black"), rgba).convert("RGB")
    return upright.convert("L")


def content_square(grey: Image.Image) -> Square:
    """The square around what is not dark border, centred on it; the whole picture if all is dark."""
    bright = (np.asarray(grey) > BORDER_LEVEL).view(np.uint8)  # whose sums take a quarter of count_nonzero's time
    count = np.min_scalar_type(max(grey.size))
    top, bottom = _extent(bright.sum(axis=1, dtype=count) >= BORDER_SHARE * grey.width, grey.height)
    left, right = _extent(bright.sum(axis=0, dtype=count) >= BORDER_SHARE * grey.height, grey.width)
    width, height = right - left, bottom - top
    side = max(width, height)
    return Square(left - (side - width) // 2, top - (side - height) // 2, side)


def resize_square(grey: Image.Image, square: Square, spec: InputSpec) -> Slice:
    """Cut `square` (black beyond the edges) and resize it with Pillow's antialiased bilinear filter."""
    left, top, side = square
    cut = grey.crop((left, top, left + side, top + side))
    return np.asarray(cut.resize((spec.width, spec.height), Image.Resampling.BILINEAR))


def _extent(kept: npt.NDArray[np.bool_], length: int) -> tuple[int, int]:
    """First kept index and one past the last; (0, length) where nothing is kept."""
    if not kept.any():
        return 0, length
    return int(kept.argmax()), length - int(kept[::-1].argmax())


def _stretch(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float64)
    values = np.where(np.isfinite(values), values, 0.0)
    low, high = values.min(), values.max()
    scaled = (values - low) * (255.0 / max(high - low, 1e-12))
    return Image.fromarray(np.rint(scaled).astype(np.uint8))
