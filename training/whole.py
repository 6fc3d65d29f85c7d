"""Files that a later step takes for finished because they are there: written whole or not at all, and read so."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from training.errors import OrderError

T = TypeVar("T", bound=BaseModel)


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


def read_whole(path: Path, kind: type[T]) -> T:
    """The JSON file at `path`; raises `OrderError` where it breaks off, as a copy may, or was written by other code."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"])) or "the file"
        raise OrderError(f"{path} cannot be read, make it again: {place}: {fault['msg']}") from None
