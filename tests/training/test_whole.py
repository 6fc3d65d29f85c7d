import os
from pathlib import Path

import pytest

from training.whole import whole, write_whole


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
