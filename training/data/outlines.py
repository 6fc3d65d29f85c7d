"""Tumour outlines as masks in the network's own frame: where a slice shows what its label says."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from rich.progress import track

from service.contract.card import InputSpec
from service.contract.preprocess import content_square, resize_square, to_grey
from service.contract.probabilities import NO_TUMOR
from training.data.folders import SUFFIXES
from training.data.index import Row

Polygon = Sequence[Sequence[float]]
Outlines = Mapping[tuple[str, str], Sequence[Polygon]]
"""Polygons by dataset and file name without its ending, in the pixels of the upright picture."""


@dataclass(frozen=True)
class Masks:
    """Where the tumour is in some slices (N, h, w), 0 or 255, and for which of them (N,) that is known."""

    pixels: npt.NDArray[np.uint8]
    known: npt.NDArray[np.bool_]


def read_outlines(root: Path, files: Mapping[str, str]) -> Outlines:
    """The outlines of each dataset's JSON file below `root`: `{file: polygon}` or `{file: [polygon, …]}`."""
    found: dict[tuple[str, str], Sequence[Polygon]] = {}
    for dataset, name in files.items():
        for file, outline in json.loads((root / name).read_text()).items():
            several = isinstance(outline[0][0], list)
            found[dataset, _stem(file)] = outline if several else [outline]
    return found


def load_masks(rows: Sequence[Row], root: Path, files: Mapping[str, str], spec: InputSpec) -> Masks:
    """The masks of `rows`; where no outlines are asked for (no `files`), none is known."""
    if not files:
        nothing = np.broadcast_to(np.uint8(0), (len(rows), spec.height, spec.width))
        return Masks(nothing, np.zeros(len(rows), np.bool_))
    outlines = read_outlines(root, files)
    with ThreadPoolExecutor() as pool:
        drawn = pool.map(lambda row: draw_mask(row, root, outlines, spec), rows)
        pixels = np.stack(list(track(drawn, f"outlines {spec.width} px", total=len(rows))))
    return Masks(pixels, np.array([row.label == NO_TUMOR or _key(row) in outlines for row in rows]))


def draw_mask(row: Row, root: Path, outlines: Outlines, spec: InputSpec) -> npt.NDArray[np.uint8]:
    """The tumour of `row` (h, w): 255 inside, 0 outside, cut and resized exactly as `preprocess` does the picture."""
    with Image.open(root / row.path) as image:
        grey = to_grey(image)
    mask = Image.new("L", grey.size)
    for polygon in outlines.get(_key(row), ()):
        ImageDraw.Draw(mask).polygon([(x, y) for x, y in polygon], fill=255)
    return resize_square(mask, content_square(grey), spec)


def _stem(file: str) -> str:
    """A file's name without its ending; one that was given without may hold dots of its own."""
    path = Path(file)
    return path.stem if path.suffix.lower() in SUFFIXES else file


def _key(row: Row) -> tuple[str, str]:
    return row.dataset, Path(row.path).stem
