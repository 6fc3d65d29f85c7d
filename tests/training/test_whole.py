import os
from pathlib import Path

import pytest

from training.errors import OrderError
from training.intervals import Interval
from training.whole import read_whole, whole, write_whole


def test_what_breaks_off_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    write_whole(tmp_path / "level.json", "old")

    def break_off() -> None:
        with whole(tmp_path / "level.json") as partial:
            partial.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"level.json": "old"}


def test_two_processes_that_write_the_same_file_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with whole(tmp_path / "slices.npy") as first:
        first.write_text("first")
        monkeypatch.setattr(os, "getpid", lambda: 0)
        write_whole(tmp_path / "slices.npy", "second")
    assert (tmp_path / "slices.npy").read_text() == "first"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"value": 0.5, "low": 0.', "the file: Invalid JSON"),
        ('{"value": 0.5, "low": 0.25}', "high: Field required"),
        ('{"value": 0.5, "low": 0.25, "high": 0.75, "level": 0.95}', "level: Extra inputs"),
    ],
)
def test_what_broke_off_or_is_of_other_code_is_refused_in_a_sentence(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "interval.json").write_text(text)
    with pytest.raises(OrderError, match=f"interval.json cannot be read, make it again: {fault}"):
        read_whole(tmp_path / "interval.json", Interval)


def test_what_is_whole_is_read(tmp_path: Path) -> None:
    found = Interval(value=0.5, low=0.25, high=0.75)
    write_whole(tmp_path / "interval.json", found.model_dump_json())
    assert read_whole(tmp_path / "interval.json", Interval) == found
