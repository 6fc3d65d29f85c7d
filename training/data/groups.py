"""Near-duplicates: pictures that are copies of each other but for a flip, a turn, or a change of size or contrast."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from service.contract.preprocess import content_square, to_grey

SIDE = 64
ALIKE = 0.985
"""Correlation of two thumbnails from which they count as the same picture."""

Thumbnail = npt.NDArray[np.float32]
"""A picture in SIDE by SIDE grey levels, or (N, SIDE, SIDE) of them."""


def thumbnail(image: Image.Image) -> Thumbnail:
    """The whole picture in 64 × 64 grey levels."""
    return np.asarray(to_grey(image).resize((SIDE, SIDE), Image.Resampling.LANCZOS), dtype=np.float32)


def cut_thumbnail(image: Image.Image) -> Thumbnail:
    """The same of what a network is shown: without dark border, padded to a square."""
    grey = to_grey(image)
    left, top, side = content_square(grey)
    return thumbnail(grey.crop((left, top, left + side, top + side)))


def near_duplicates(*views: Thumbnail) -> list[int]:
    """Group number (N,) of each picture: those alike under any flip or turn share one, and so do chains.

    Each of `views` holds a thumbnail of every picture (N, 64, 64); alike in one of them is enough. Groups are numbered
    in order of appearance. Correlation does not see a change of brightness or contrast.
    """
    return join(len(views[0]), (pair for thumbnails in views for pair in _alike_pairs(thumbnails)))


def join(count: int, pairs: Iterable[Sequence[int]]) -> list[int]:
    """Group number (count,) of each position, where `pairs` and chains of them share one, in order of appearance."""
    parents = list(range(count))
    for first, second in pairs:
        parents[_root(parents, second)] = _root(parents, first)
    roots = [_root(parents, i) for i in range(count)]
    numbers = {root: number for number, root in enumerate(dict.fromkeys(roots))}
    return [numbers[root] for root in roots]


def _alike_pairs(thumbnails: Thumbnail) -> npt.NDArray[np.intp]:
    """Pairs (first, second) whose correlation reaches `ALIKE` under one of the eight flips and turns."""
    upright = _unit(thumbnails)
    closest = np.full((len(upright), len(upright)), -1, dtype=np.float32)
    for mirrored in (thumbnails, thumbnails[:, :, ::-1]):
        for turns in range(4):
            np.maximum(closest, upright @ _unit(np.rot90(mirrored, turns, axes=(1, 2))).T, out=closest)
    return np.argwhere(np.triu(closest >= ALIKE, k=1))


def _unit(thumbnails: Thumbnail) -> npt.NDArray[np.float32]:
    """Vectors (N, 4096) of mean 0 and length 1, so that a product is a correlation; a blank picture is like none."""
    vectors = thumbnails.reshape(len(thumbnails), -1)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6))


def _root(parents: list[int], i: int) -> int:
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i
