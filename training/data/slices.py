"""Preprocessed slices of an index as one array, cached on disk, and the labels that go with them."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.progress import track

from service.contract import preprocess as contract
from service.contract.card import InputSpec
from service.contract.preprocess import preprocess, to_grey
from service.contract.probabilities import NO_TUMOR
from training.data.index import Row
from training.dataconfig import UNKNOWN_TUMOR, DataConfig
from training.whole import whole

Change = Callable[[Image.Image], Image.Image]
"""What may be done to a grey, upright picture (mode L); the picture itself stays as it is."""


@dataclass(frozen=True)
class Slices:
    """Some rows, their preprocessed slices (N, h, w) uint8 and the classes each label allows (N, classes)."""

    rows: Sequence[Row]
    pixels: npt.NDArray[np.uint8]
    allowed: npt.NDArray[np.bool_]

    def select(self, keep: npt.NDArray[np.bool_]) -> "Slices":
        """The slices where `keep` (N,) holds."""
        return Slices(
            [row for row, kept in zip(self.rows, keep, strict=True) if kept], self.pixels[keep], self.allowed[keep]
        )

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Where exactly one class is right: (N,)."""
        return np.asarray(self.allowed.sum(axis=1) == 1)

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """The class index (N,) where it is known; elsewhere the first allowed one, which means nothing."""
        return np.asarray(self.allowed.argmax(axis=1))


def load_slices(rows: Sequence[Row], root: Path, spec: InputSpec, class_names: Sequence[str], cache: Path) -> Slices:
    """Read and preprocess the pictures below `root` with the service's own `preprocess`, once a cache.

    The cache's name carries the pictures' hashes, the size and the preprocessing's source, so that it is
    never stale. Raises `KeyError` on a label that is neither a class nor 'tumor'.
    """
    allowed = np.stack([allowed_classes(row.label, class_names) for row in rows])
    path = cache / f"{_fingerprint(rows, spec)}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        pixels = read_slices(rows, root, spec)
        with whole(path) as partial, partial.open("wb") as file:
            np.save(file, pixels)
    return Slices(rows, np.load(path, mmap_mode="r"), allowed)


def read_slices(
    rows: Sequence[Row], root: Path, spec: InputSpec, change: Change | None = None, title: str = "preprocess"
) -> npt.NDArray[np.uint8]:
    """Every picture of `rows` below `root`, preprocessed as the service does it: (N, h, w).

    It is turned grey and upright and goes through `change` before, where there is one.
    """

    def read(row: Row) -> npt.NDArray[np.uint8]:
        with Image.open(root / row.path) as image:
            return preprocess(change(to_grey(image)) if change else image, spec)

    with ThreadPoolExecutor() as pool:
        return np.stack(list(track(pool.map(read, rows), f"{title} {spec.width} px", total=len(rows))))


def allowed_classes(label: str, class_names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which classes (classes,) are right for `label`; a tumour of unknown type allows all but `no_tumor`."""
    if label == UNKNOWN_TUMOR and UNKNOWN_TUMOR not in class_names:
        return np.array([name != NO_TUMOR for name in class_names])
    if label not in class_names:
        raise KeyError(label)
    return np.array([name == label for name in class_names])


def draw_weights(slices: Slices, config: DataConfig) -> npt.NDArray[np.float64]:
    """Chance (N,) of drawing each slice: labels by their share, groups of a label alike, slices of a group alike."""
    members: dict[tuple[str, str, str], int] = {}
    groups: dict[str, set[tuple[str, str]]] = {}
    for row in slices.rows:
        key = (row.label, row.dataset, row.group)
        members[key] = members.get(key, 0) + 1
        groups.setdefault(row.label, set()).add((row.dataset, row.group))
    weights = np.array(
        [
            config.shares[row.label] / len(groups[row.label]) / members[row.label, row.dataset, row.group]
            for row in slices.rows
        ]
    )
    return np.asarray(weights / weights.sum())


def _fingerprint(rows: Sequence[Row], spec: InputSpec) -> str:
    digest = hashlib.sha256(Path(contract.__file__).read_bytes())
    digest.update(f"{spec.height}x{spec.width}".encode())
    for row in rows:
        digest.update(row.sha256.encode())
    return digest.hexdigest()[:16]
