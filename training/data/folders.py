"""From folders of classes to rows of an index: the public layouts, groups computed here, what cannot be read listed."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from service.contract.probabilities import NO_TUMOR
from training.data.groups import Thumbnail, cut_thumbnail, near_duplicates, thumbnail
from training.data.index import NO_FOLD, TESTING, TRAINING, Row, sha256_of
from training.dataconfig import UNKNOWN_TUMOR
from training.errors import DataError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
LABELS = {"no": NO_TUMOR, "notumor": NO_TUMOR, NO_TUMOR: NO_TUMOR, "healthy": NO_TUMOR, "yes": UNKNOWN_TUMOR}
"""Folder names that mean a label of another spelling; `glioma_tumor` is read as `glioma` without being listed."""
BROKEN = (OSError, Image.DecompressionBombError, SyntaxError, ValueError)
"""What Pillow raises at files that it cannot read."""
OFFICIAL = {"training": TRAINING, "train": TRAINING, "testing": TESTING, "test": TESTING}


@dataclass(frozen=True)
class Found:
    """The rows of every picture that can be read, and what is wrong with the others."""

    rows: list[Row]
    unreadable: tuple[str, ...]


def rows_of_folders(root: Path, datasets: Sequence[str]) -> Found:
    """Every picture of `root/dataset/label/` or `root/dataset/Training/label/`, in no fold yet.

    Near-duplicates, with their dark borders or without, share a group; one that repeats a picture of an earlier dataset
    says so in `same_as`. Raises `DataError` where a dataset has no picture at all.
    """
    seen, unreadable = [], []
    for row, look in _looks(root, datasets):
        if isinstance(look, str):
            unreadable.append(f"{row.path}: {look}")
        else:
            seen.append((replace(row, width=look.width, height=look.height, sha256=look.sha256), look))
    missing = set(datasets) - {row.dataset for row, _ in seen}
    if missing:
        raise DataError(f"{root / min(missing)} holds no pictures: they are expected as {min(missing)}/label/file")
    groups = near_duplicates(np.stack([look.small for _, look in seen]), np.stack([look.cut for _, look in seen]))
    return Found(_grouped([row for row, _ in seen], groups), tuple(unreadable))


def reason(error: Exception, path: Path) -> str:
    """Why the file at `path` cannot be read, on one line that does not name its place."""
    told = " ".join(str(error).replace(str(path), "it").split())
    return told or type(error).__name__


def label_of(folder: str) -> str:
    """The label that a folder's name stands for: `Glioma_Tumor` is glioma, `no` and `notumor` are no_tumor."""
    name = folder.lower().replace(" ", "_").replace("-", "_")
    return LABELS.get(name) or name.removesuffix("_tumor")


@dataclass(frozen=True)
class _Look:
    width: int
    height: int
    small: Thumbnail
    cut: Thumbnail
    sha256: str


def _looks(root: Path, datasets: Sequence[str]) -> Iterator[tuple[Row, _Look | str]]:
    rows = [_row(root, path) for dataset in datasets for path in _files(root / dataset)]
    with ThreadPoolExecutor() as pool:
        looks = pool.map(lambda row: _look(root / row.path), rows)
        yield from zip(rows, track(looks, "read pictures", total=len(rows)), strict=True)


def _files(folder: Path) -> list[Path]:
    below = [*folder.glob("*/*"), *(path for name in folder.glob("*") if _official(name) for path in name.glob("*/*"))]
    return sorted(path for path in below if path.suffix.lower() in SUFFIXES and path.is_file())


def _official(folder: Path) -> str:
    return OFFICIAL.get(folder.name.lower(), "")


def _row(root: Path, path: Path) -> Row:
    place = path.relative_to(root)
    return Row(
        dataset=place.parts[0],
        path=place.as_posix(),
        label=label_of(path.parent.name),
        group="",
        fold=NO_FOLD,
        width=0,
        height=0,
        sha256="",
        official_split=_official(path.parent.parent),
    )


def _look(path: Path) -> _Look | str:
    try:
        with Image.open(path) as image:
            return _Look(*image.size, thumbnail(image), cut_thumbnail(image), sha256_of(path))
    except BROKEN as error:
        return reason(error, path)


def _grouped(rows: Sequence[Row], groups: Sequence[int]) -> list[Row]:
    first: dict[int, Row] = {}
    for row, group in zip(rows, groups, strict=True):
        first.setdefault(group, row)
    return [
        replace(
            row,
            group=f"{row.dataset}-{group}",
            same_as=first[group].path if first[group].dataset != row.dataset else "",
        )
        for row, group in zip(rows, groups, strict=True)
    ]
