"""Where the slices lie and where the rows go: a folder, or a bucket by its address."""

import os
from pathlib import Path
from typing import Any, NamedTuple

from pyarrow import ArrowInvalid
from pyarrow.fs import FileSelector, FileSystem, FileType, FSSpecHandler, LocalFileSystem, PyFileSystem


class File(NamedTuple):
    """One file below an archive's root: its path from there, and its bytes' number."""

    path: str
    size: int


class Archive:
    """All files below one root, in whatever file system its address names; hidden ones and other formats too."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.filesystem, self.root = open_address(address)

    @property
    def local(self) -> bool:
        """Whether it is a folder of this machine."""
        return isinstance(self.filesystem, LocalFileSystem)

    def refuse_absent(self) -> None:
        """Raise `ValueError` where the root is no folder."""
        if self.filesystem.get_file_info(self.root).type != FileType.Directory:
            raise ValueError(f"{self.address} is no folder")

    def files(self) -> list[File]:
        """Every file, sorted by its path.

        Raises `ValueError` where the root is no folder, a name is no UTF-8, or links go in a circle.
        """
        self.refuse_absent()
        if self.local:
            refuse_circles(self.root)
        found = self.filesystem.get_file_info(FileSelector(self.root, recursive=True))
        try:
            files = [File(self._relative(each.path), each.size or 0) for each in found if each.type == FileType.File]
        except UnicodeDecodeError as error:
            raise ValueError(f"a file's name is not UTF-8, as a row's path must be: {error.object!r}") from None
        return sorted(files)

    def read(self, path: str) -> bytes:
        """The file's bytes; raises `OSError`."""
        with self.filesystem.open_input_stream(self.path(path), compression=None) as stream:
            content: bytes = stream.read()
        return content

    def path(self, relative: str) -> str:
        """The path that the file system knows."""
        return f"{self.root}/{relative}"

    def holds(self, other: "Archive") -> bool:
        """Whether the other root is this one or lies below it."""
        same = bool(self.filesystem.equals(other.filesystem))
        return same and f"{other.root}/".startswith(f"{self.root}/")

    def _relative(self, path: str) -> str:
        return path.removeprefix(self.root).lstrip("/")


def refuse_circles(folder: str, above: frozenset[str] = frozenset()) -> None:
    """Raise `ValueError` where a link leads to a folder that holds it, whose files would come again and again."""
    if (real := os.path.realpath(folder)) in above:
        raise ValueError(f"{folder!r} leads back to a folder that holds it")
    with os.scandir(folder) as entries:
        folders = [entry.path for entry in entries if entry.is_dir()]
    for each in folders:
        refuse_circles(each, above | {real})


def open_address(address: str) -> tuple[FileSystem, str]:
    """The file system and the root's path in it; raises `ValueError` where no library here knows the address.

    Addresses such as `s3://bucket/folder` are pyarrow's; others go to fsspec, where its package for them is installed.
    """
    if "://" not in address:
        return LocalFileSystem(), str(Path(address).resolve())
    try:
        filesystem, root = FileSystem.from_uri(address)
    except ArrowInvalid:
        filesystem, root = _open_by_fsspec(address)
    return filesystem, root.rstrip("/")


def _open_by_fsspec(address: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - an optional package

        filesystem, root = url_to_fs(address)
    except ImportError as error:
        raise ValueError(f"{address.partition('://')[0]}:// needs a package: {error}") from error
    return PyFileSystem(FSSpecHandler(filesystem)), root
