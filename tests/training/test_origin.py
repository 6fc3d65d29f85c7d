from pathlib import Path

import pytest

from training.errors import OrderError
from training.origin import read_origin, write_origin


def test_what_trained_a_run_is_written_once_and_kept(tmp_path: Path) -> None:
    write_origin(tmp_path)
    first = read_origin(tmp_path)
    (tmp_path / "origin.json").write_text(first.model_copy(update={"commit": "earlier"}).model_dump_json())
    write_origin(tmp_path)
    assert read_origin(tmp_path).commit == "earlier"
    assert {"python", "torch", "onnxruntime"} <= set(first.versions)


def test_a_run_that_was_never_trained_has_no_origin(tmp_path: Path) -> None:
    with pytest.raises(OrderError):
        read_origin(tmp_path)
