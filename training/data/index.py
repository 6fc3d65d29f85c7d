"""The list of images: what a row says, how it is read and written, and the one rule it must keep."""

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from training.errors import DataError
from training.whole import whole


@dataclass(frozen=True)
class Row:
    """One image; `group` joins near-duplicates and `fold` never parts a group.

    `same_as` names the picture of another dataset that this one is a copy of; `official_split` is its publisher's.
    """

    dataset: str
    path: str
    label: str
    group: str
    fold: int
    width: int
    height: int
    sha256: str
    official_split: str = ""
    same_as: str = ""


TRAINING, TESTING = "Training", "Testing"
"""What a publisher's own split calls its parts."""

NO_FOLD = 0
"""Fold of a row that was dealt to none: not yet, or because its source is left out whole."""

COLUMNS = tuple(field.name for field in fields(Row))


def read_index(path: Path, datasets: Sequence[str] = ()) -> list[Row]:
    """Rows of the CSV at `path`, of the named datasets only where any are named.

    Columns that `Row` does not know are passed over; an empty fold is `NO_FOLD`. Raises `DataError` where a column is
    missing, a line breaks off or a group spans two folds.
    """
    try:
        with path.open(newline="") as lines:
            found = [_whole(line) for line in csv.DictReader(lines)]
        rows = [_row(line) for line in found if not datasets or line["dataset"] in datasets]
    except (KeyError, ValueError) as error:
        raise DataError(f"{path} is no index with the columns {', '.join(COLUMNS)}: {error}") from None
    refuse_split_groups(rows)
    return rows


def write_index(rows: Iterable[Row], path: Path) -> None:
    """Write `rows` as CSV with the columns of `Row`."""
    with whole(path) as partial, partial.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, COLUMNS)
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def refuse_split_groups(rows: Iterable[Row]) -> None:
    """Raise `DataError` where near-duplicates lie in two folds, for then no measurement is honest."""
    folds: dict[tuple[str, str], int] = {}
    for row in rows:
        if folds.setdefault((row.dataset, row.group), row.fold) != row.fold:
            raise DataError(
                f"group {row.group} of {row.dataset} spans folds {folds[row.dataset, row.group]} and {row.fold}"
            )


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of the file at `path`."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _whole(line: dict[str, str]) -> dict[str, str]:
    """The line itself; raises `ValueError` where it ends before its last column, as that of a file cut short does."""
    if None in line.values():
        raise ValueError(f"the line of {line.get('path') or 'its last picture'} breaks off")
    return line


def _row(line: dict[str, str]) -> Row:
    return Row(
        dataset=line["dataset"], path=line["path"], label=line["label"], group=line["group"],
        fold=int(line["fold"] or NO_FOLD), width=int(line["width"]), height=int(line["height"]), sha256=line["sha256"],
        official_split=line.get("official_split", ""), same_as=line.get("same_as", ""),
    )  # fmt: skip
