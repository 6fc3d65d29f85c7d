"""Take groups and folds from a published index, once every file is seen to be the one it speaks of."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.progress import track

from training.data.index import Row, read_index, sha256_of
from training.errors import DataError


def rows_of_published(published: Path, root: Path, datasets: Sequence[str]) -> list[Row]:
    """The published rows of `datasets`; raises `DataError` where files below `root` are missing or changed."""
    rows = read_index(published, datasets)
    absent = set(datasets) - {row.dataset for row in rows}
    if absent:
        raise DataError(f"{published} lists no pictures of {', '.join(sorted(absent))}")
    _refuse_changed(rows, root, published)
    return rows


def _refuse_changed(rows: Sequence[Row], root: Path, published: Path) -> None:
    with ThreadPoolExecutor() as pool:
        found = list(track(pool.map(lambda row: _sum(root / row.path), rows), "verify files", total=len(rows)))
    wrong = [
        f"{row.path} ({'changed' if digest else 'missing'})"
        for row, digest in zip(rows, found, strict=True)
        if digest != row.sha256
    ]
    if wrong:
        raise DataError(f"{len(wrong)} of {len(rows)} files do not match {published}: {', '.join(wrong[:3])}, …")


def _sum(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() else None
