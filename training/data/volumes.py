"""Slices of whole heads: a volume read upright and cut along its three planes, as a viewer shows them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import SimpleITK
from PIL import Image

from training.errors import DataError

Voxels = npt.NDArray[np.float32]
Inside = npt.NDArray[np.bool_]

PLANES = ("axial", "coronal", "sagittal")
"""The plane that is cut at right angles to each axis of (z, y, x)."""
WHITE = 99.5
"""Percentile of the voxels above nothing that is shown white, in a whole volume alike."""
HEAD = 0.1
"""Share of white from which a voxel counts as head."""
LEAST = 0.35
"""Share of a plane's largest slice of the head that a slice must show."""
THIN = 2.0
"""Largest ratio of a pixel's sides: what was taken in thick slices is cut in their plane alone."""


class Volume(NamedTuple):
    """Voxels (z, y, x), 1 being white, from foot to head, front to back and the patient's right to left; sides, mm."""

    voxels: Voxels
    sides: tuple[float, float, float]


class Cut(NamedTuple):
    """A slice as a grey picture, how far along its axis it lies in mm, and its place among the plane's."""

    plane: str
    picture: Image.Image
    millimetres: float
    place: int


def read_volume(path: Path) -> Volume:
    """The volume of a NIfTI or NRRD file, turned upright; raises `DataError` where it is none of three axes."""
    image = _upright(path)
    voxels = np.clip(SimpleITK.GetArrayFromImage(image).astype(np.float32), 0, None)
    if not voxels.any():
        raise DataError(f"{path} shows nothing")
    white = np.percentile(voxels[voxels > 0], WHITE)
    across, down, up = image.GetSpacing()
    return Volume(np.clip(voxels / white, 0, 1), (up, down, across))


def read_outline(path: Path) -> Inside:
    """Which voxels (z, y, x) of a volume lie in its tumour: those that the file marks."""
    return np.asarray(SimpleITK.GetArrayFromImage(_upright(path)) > 0)


def cuts(volume: Volume, step: float) -> Iterator[Cut]:
    """A slice every `step` mm or where there is one, in each plane whose pixels are nearly square."""
    for axis, plane in enumerate(PLANES):
        tall, wide = np.delete(volume.sides, axis)
        if max(tall, wide) > THIN * min(tall, wide):
            continue
        shown = areas(volume.voxels > HEAD, volume.sides, axis)
        stride = max(round(step / volume.sides[axis]), 1)
        for place in range(0, len(shown), stride):
            if shown[place] >= LEAST * shown.max():
                seen = np.take(volume.voxels, place, axis=axis)
                upright = seen if plane == "axial" else seen[::-1]
                yield Cut(plane, _picture(upright, tall, wide), place * volume.sides[axis], place)


def areas(inside: Inside, sides: Sequence[float], axis: int) -> npt.NDArray[np.float64]:
    """How much of each slice across `axis` lies inside, square mm: (slices,)."""
    return np.asarray(inside.sum(axis=tuple(np.delete(range(3), axis))) * np.prod(np.delete(sides, axis)))


def _upright(path: Path) -> SimpleITK.Image:
    image = SimpleITK.ReadImage(str(path))
    if image.GetDimension() != 3:
        raise DataError(f"{path} has {image.GetDimension()} axes, where a volume has three")
    return SimpleITK.DICOMOrient(image, "LPS")


def _picture(seen: Voxels, tall: float, wide: float) -> Image.Image:
    """With square pixels, as small as the smaller side."""
    picture = Image.fromarray((seen * 255).round().astype(np.uint8))
    side = min(tall, wide)
    size = (round(picture.width * wide / side), round(picture.height * tall / side))
    return picture.resize(size, Image.Resampling.BICUBIC) if size != picture.size else picture
