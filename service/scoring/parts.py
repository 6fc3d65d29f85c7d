"""The rows already written: `part-….parquet` files, each whole or absent, so that a killed run can go on."""

import fcntl
import hashlib
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from service.scoring.archive import Archive, File
from service.scoring.scorer import Row

LOCK_FILE = ".lock"
MODEL_COLUMNS = ["model", "version", "model_sha256"]


class Parts:
    """Parquet files of one `schema` below the archive's root.

    A part is named by the files whose rows it holds: written twice, it replaces itself.
    """

    def __init__(self, archive: Archive, schema: pa.Schema) -> None:
        self.archive = archive
        self._schema = schema
        archive.filesystem.create_dir(archive.root, recursive=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second run out of a folder; raises `ValueError` where one is at work. Buckets have no locks."""
        if not self.archive.local:
            yield
            return
        with (Path(self.archive.root) / LOCK_FILE).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"another run writes to {self.archive.address}") from None
            yield

    def done(self, model: Row) -> set[str]:
        """Paths that have their row; parts that cannot be read are removed, so that their files come again.

        Raises `ValueError` where rows are of another model than `model`, or a file has two.
        """
        paths: list[str] = []
        for name in self._names():
            table = self._read(name, ["path", *MODEL_COLUMNS])
            if table is None:
                self.archive.filesystem.delete_file(self.archive.path(name))
                continue
            if any(
                row != model for row in table.select(MODEL_COLUMNS).group_by(MODEL_COLUMNS).aggregate([]).to_pylist()
            ):
                raise ValueError(f"{self.archive.address} holds rows of another model; choose another folder")
            paths += table.column("path").to_pylist()
        if len(done := set(paths)) < len(paths):
            raise ValueError(f"{self.archive.address} holds two rows of {len(paths) - len(done)} files")
        return done

    def forget(self, problems: Collection[str], model: Row) -> None:
        """Take out the rows with one of these problems, so that their files come again; raises as `done` does."""
        self.done(model)
        for name in self._names():
            table = self._read(name, None)
            rows = table.to_pylist() if table else []
            kept = [row for row in rows if row["problem"] not in problems]
            if len(kept) < len(rows):
                self.archive.filesystem.delete_file(self.archive.path(name))  # first: a row may miss, never come twice
                if kept:
                    self.write(kept)

    def write(self, rows: Sequence[Row]) -> None:
        """Write one part, whole or not at all."""
        buffer = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(list(rows), self._schema), buffer, compression="zstd")
        name = part_name([row["path"] for row in rows])
        place, filesystem = self.archive.path(name), self.archive.filesystem
        first = self.archive.path(f".{name}.{uuid.uuid4().hex}") if self.archive.local else place
        with filesystem.open_output_stream(first) as stream:
            stream.write(buffer.getvalue())
        if first != place:  # a bucket's object appears with its last byte, a folder's file must be moved into place
            filesystem.move(first, place)

    def _names(self) -> list[str]:
        names = [file.path for file in self.archive.files()]
        return [name for name in names if name.startswith("part-") and name.endswith(".parquet")]

    def _read(self, name: str, columns: Sequence[str] | None) -> pa.Table | None:
        try:
            with self.archive.filesystem.open_input_file(self.archive.path(name)) as file:
                return pq.read_table(file, columns=columns)
        except pa.ArrowInvalid:
            return None


def cut(files: Iterable[File], size: int) -> Iterator[list[File]]:
    """The files in parts of some `size` each, in order; a part begins where a path's hash says so.

    So a second run finds the parts of the first again, even where files have come since: what a worker of a killed
    run still writes is then what the second writes too.
    """
    part: list[File] = []
    for file in files:
        if part and int.from_bytes(hashlib.sha256(file.path.encode()).digest()[:8]) % size == 0:
            yield part
            part = []
        part.append(file)
    if part:
        yield part


def part_name(paths: Sequence[str]) -> str:
    """The name of the part that holds these files' rows, in this order."""
    return f"part-{hashlib.sha256(chr(0).join(paths).encode()).hexdigest()[:32]}.parquet"
