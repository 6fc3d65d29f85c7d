"""Take groups and folds from a published index, and see which of the files it speaks of are there as they were."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image
from rich.progress import track

from training.data.folders import BROKEN, reason
from training.data.index import Row, read_index, sha256_of
from training.errors import DataError


def rows_of_published(published: Path, datasets: Sequence[str]) -> list[Row]:
    """The published rows of `datasets`; raises `DataError` where one of them has none."""
    rows = read_index(published, datasets)
    absent = set(datasets) - {row.dataset for row in rows}
    if absent:
        raise DataError(f"{published} lists no pictures of {', '.join(sorted(absent))}")
    return rows


def faults_of(rows: Sequence[Row], root: Path) -> Mapping[str, str]:
    """By path, what is wrong with the files below `root`: missing, changed since they were published, or unreadable."""
    with ThreadPoolExecutor() as pool:
        faults = pool.map(lambda row: _fault(row, root / row.path), rows)
        found = zip(rows, track(faults, "verify files", total=len(rows)), strict=True)
        return {row.path: fault for row, fault in found if fault}


def _fault(row: Row, path: Path) -> str:
    try:
        if not path.is_file():
            return "missing"
        if sha256_of(path) != row.sha256:
            return "changed"
        with Image.open(path) as image:
            image.load()
    except BROKEN as error:
        return reason(error, path)
    return ""
