from pathlib import Path

import pytest

from training.errors import OrderError
from training.origin import read_origin, write_origin


def test_what_trained_a_run_is_written_down(tmp_path: Path) -> None:
    write_origin(tmp_path, "random")
    found = read_origin(tmp_path)
    assert found.weights == "random"
    assert {"python", "torch", "onnxruntime"} <= set(found.versions)


def test_a_run_that_was_never_trained_has_no_origin(tmp_path: Path) -> None:
    with pytest.raises(OrderError):
        read_origin(tmp_path)
