"""From folders `dataset/label/file` to rows of an index, groups computed here."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from training.data.groups import Thumbnail, near_duplicates, thumbnail
from training.data.index import NO_FOLD, Row, sha256_of
from training.errors import DataError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


def rows_of_folders(root: Path, datasets: Sequence[str]) -> list[Row]:
    """Every picture of `root/dataset/label/`, near-duplicates grouped within a dataset, in no fold yet."""
    return [row for dataset in datasets for row in _grouped(root, dataset)]


def _grouped(root: Path, dataset: str) -> list[Row]:
    files = sorted(path for path in (root / dataset).glob("*/*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{root / dataset} holds no pictures: they are expected as {dataset}/label/file")
    with ThreadPoolExecutor() as pool:
        seen = list(track(pool.map(lambda path: _look(path, root), files), f"read {dataset}", total=len(files)))
    groups = near_duplicates(np.stack([small for _, small in seen]))
    return [replace(row, group=f"{dataset}-{group}") for (row, _), group in zip(seen, groups, strict=True)]


def _look(path: Path, root: Path) -> tuple[Row, Thumbnail]:
    place = path.relative_to(root)
    try:
        with Image.open(path) as image:
            width, height = image.size
            small = thumbnail(image)
    except OSError as error:
        raise DataError(f"{path} is not a picture that can be read: {error}") from None
    dataset, label = place.parts[:2]
    return Row(dataset, place.as_posix(), label, "", NO_FOLD, width, height, sha256_of(path)), small
