"""Files that a later step takes for finished because they are there: written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes `path` at the end; what breaks off leaves `path` as it was.

    Processes that write the same file at once do not meet: each writes its own, and the last one stays.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write `text` as the file at `path`."""
    with whole(path) as partial:
        partial.write_text(text)
