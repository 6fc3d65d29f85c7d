"""Many processes, started as a user starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from training import index, train
from training.config import OptimizerConfig, Recipe, Stage
from training.history import HISTORY
from training.processes import Processes

LAUNCH = ("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1",
          "--mixed_precision", "no", "--dynamo_backend", "no", "--num_cpu_threads_per_process", "1")  # fmt: skip


def test_a_training_s_precision_is_its_own_whatever_the_process_trained_before() -> None:
    assert [Processes(precision).machine.mixed_precision for precision in ("bf16", None, "no")] == ["bf16", "no", "no"]


def test_the_same_seed_gives_the_same_loss_in_fresh_processes(recipe: Recipe, pictures: Path, tmp_path: Path) -> None:
    """Each with as many threads as it likes, its own hashes and nothing cached."""
    (tmp_path / "tiny.yaml").write_text(recipe.model_dump_json())
    lines = []
    for threads in ("1", "2"):
        run = tmp_path / threads / "run"
        index.index(recipe, pictures, run)
        words = ("-m", "training", "train", tmp_path / "tiny.yaml", "--data", pictures, "--run", run)
        environment = os.environ | {"OMP_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        done = subprocess.run([sys.executable, *words], check=False, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
        lines.append([json.loads(text) for text in (run / HISTORY).read_text().splitlines()])
    for first, second in zip(*lines, strict=True):
        for figure in ("train_loss", "val_loss"):
            assert second[figure] == pytest.approx(first[figure], abs=1e-3)


def test_two_processes_have_the_loss_of_one(recipe: Recipe, pictures: Path, tmp_path: Path) -> None:
    """A network without batch norm and dropout, batches that two do not divide."""
    changes = {
        "architecture": "sequential_1",
        "size": 32,
        "stages": (Stage(size=32, epochs=2),),
        "dropout": 0.0,
        "augment": recipe.augment.model_copy(update={"mixup": 0.0}),
        "optimizer": OptimizerConfig(batch_size=7),
    }
    plain = recipe.model_copy(update=changes)
    (tmp_path / "plain.yaml").write_text(plain.model_dump_json())
    lines = []
    for count in (1, 2):
        run = tmp_path / "runs" / str(count)
        index.index(plain, pictures, run)
        if count == 1:
            train.train(plain, pictures, run)
        else:
            words = ("-m", "training", "train", tmp_path / "plain.yaml", "--data", pictures, "--run", run)
            done = subprocess.run([sys.executable, *LAUNCH, *words], check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-2000:]
        lines.append([json.loads(text) for text in (run / HISTORY).read_text().splitlines()])
    for alone, together in zip(*lines, strict=True):
        for figure in ("train_loss", "train_accuracy", "val_loss", "val_auroc"):
            assert together[figure] == pytest.approx(alone[figure], rel=1e-4)
