import pickle
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from training import checkpoint


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    checkpoint.save({"weights": torch.arange(3), "epoch": 4}, tmp_path / "a.pt")
    loaded = checkpoint.load(tmp_path / "a.pt")
    assert loaded["epoch"] == 4
    assert loaded["weights"].tolist() == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    checkpoint.save({"epoch": 1}, tmp_path / "a.pt")
    with pytest.raises((AttributeError, pickle.PicklingError)):
        checkpoint.save({"epoch": lambda: 2}, tmp_path / "a.pt")
    assert checkpoint.load(tmp_path / "a.pt") == {"epoch": 1}


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    torch.save({"path": tmp_path}, tmp_path / "a.pt")
    with pytest.raises(pickle.UnpicklingError):
        checkpoint.load(tmp_path / "a.pt")


def test_one_seed_sets_every_generator() -> None:
    drawn = []
    for _ in range(2):
        checkpoint.seed_everything(2**40 + 5)
        drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert drawn[0] == drawn[1]
