from dataclasses import replace
from pathlib import Path

import pytest

from training.data.index import Row, read_index, refuse_split_groups, write_index
from training.errors import DataError

ROWS = [
    Row("drawn", "drawn/glioma/0.png", "glioma", "drawn-0", 1, 72, 80, "a" * 64),
    Row("other", "other/no_tumor/0.png", "no_tumor", "other-0", 2, 90, 80, "b" * 64),
]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_index(ROWS, tmp_path / "index.csv")
    assert read_index(tmp_path / "index.csv") == ROWS


def test_only_the_named_datasets_are_read(tmp_path: Path) -> None:
    write_index(ROWS, tmp_path / "index.csv")
    assert read_index(tmp_path / "index.csv", ["other"]) == ROWS[1:]


def test_a_group_in_two_folds_is_refused() -> None:
    with pytest.raises(DataError, match="drawn-0 of drawn spans folds 1 and 2"):
        refuse_split_groups([ROWS[0], replace(ROWS[0], fold=2)])


def test_two_datasets_may_use_the_same_group_name() -> None:
    refuse_split_groups([ROWS[0], replace(ROWS[0], dataset="other", fold=2)])


@pytest.mark.parametrize("cut", [20, 50, 90, 101])
def test_an_index_that_breaks_off_within_a_line_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "index.csv"
    write_index(ROWS, path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match=r"no index.* breaks off"):
        read_index(path)


def test_a_table_without_the_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("path,label\na.png,glioma\n")
    with pytest.raises(DataError, match="no index with the columns"):
        read_index(tmp_path / "index.csv")
