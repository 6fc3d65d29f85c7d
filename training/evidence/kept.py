"""The runs' files that were kept, by run and name."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, RootModel

from training.whole import read_whole

T = TypeVar("T", bound=BaseModel)
Raw = RootModel[dict[str, Any]]


@dataclass(frozen=True)
class Kept:
    """Folders that hold a folder a run."""

    folders: Sequence[Path]

    def path(self, run: str, file: str) -> Path | None:
        """Where a run's file is; None where there is none."""
        return next((path for folder in self.folders if (path := folder / run / file).is_file()), None)

    def read(self, run: str, file: str, kind: type[T]) -> T | None:
        """A run's JSON file; None where there is none. Raises `OrderError` where it breaks off."""
        path = self.path(run, file)
        return read_whole(path, kind) if path else None

    def raw(self, run: str, file: str) -> dict[str, Any]:
        """The same of a file without a type of its own; empty where there is none."""
        found = self.read(run, file, Raw)
        return found.root if found else {}

    def runs(self, file: str) -> list[str]:
        """The runs that have such a file."""
        return sorted({path.parent.name for folder in self.folders for path in folder.glob(f"*/{file}")})
