"""Drawn pictures, a tiny recipe and one finished run, shared by training's tests."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import ImageOps

from training import calibrate, checkpoint, evaluate, export, index, train
from training.augmentconfig import AugmentConfig
from training.config import OptimizerConfig, Recipe, Stage
from training.data.index import NO_FOLD, read_index, write_index
from training.data.phantom import PLACES, draw_phantom
from training.dataconfig import DataConfig
from training.index import INDEX
from training.judge.explanations import judge_explanations
from training.run import RECIPE

PICTURES = 5
OUTLINE = [[20, 20], [60, 20], [60, 60], [20, 60]]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder: five heads of each label, each of them also mirrored."""
    root = tmp_path_factory.mktemp("data")
    for kind, label in enumerate(("no_tumor", *PLACES)):
        folder = root / "drawn" / label
        folder.mkdir(parents=True)
        for number in range(PICTURES):
            head = draw_phantom(label, (72 + 4 * number, 80), seed=10 * kind + number)
            head.save(folder / f"{number}.png")
            ImageOps.mirror(head).save(folder / f"{number}-mirrored.png")
    return root


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """Two epochs of two steps of a network with 0.1 M weights."""
    return Recipe(
        name="tiny",
        architecture="test_efficientnet",
        class_names=("glioma", "meningioma", "no_tumor", "pituitary"),
        size=64,
        stages=(Stage(size=24, epochs=1), Stage(size=64, epochs=1)),
        seed=7,
        data=DataConfig(
            datasets=("drawn",),
            licence="drawn here",
            split_by="group-wise",
            train_folds=(1, 2, 3),
            val_folds=(4,),
            test_folds=(5,),
            shares=dict.fromkeys(("no_tumor", *PLACES), 0.2),
            epoch_slices=16,
        ),
        augment=AugmentConfig(mixup=0.3),
        optimizer=OptimizerConfig(batch_size=8),
    )


@pytest.fixture(scope="session")
def three(recipe: Recipe) -> Recipe:
    """The tiny recipe on three folds, one epoch each."""
    data = recipe.data.model_copy(update={"folds": 3, "split": "group"})
    return recipe.model_copy(update={"data": data, "stages": recipe.stages[-1:]})


@pytest.fixture(scope="session")
def finished(pictures: Path, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has been through every step but `register`; tests that write take a copy."""
    return through_every_step(recipe, pictures, tmp_path_factory.mktemp("runs") / "tiny")


def through_every_step(recipe: Recipe, pictures: Path, run: Path) -> Path:
    index.index(recipe, pictures, run)
    train.train(recipe, pictures, run)
    calibrate.calibrate(pictures, run)
    export.export(pictures, run)
    evaluate.evaluate(pictures, run, resamples=100)
    return run


@pytest.fixture(scope="session")
def refitted(finished: Path, pictures: Path, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that goes on from the finished one with its validation fold, through every step but `register`."""
    start = {"weights": finished / checkpoint.BEST, "weights_as": "whole", "temperature_of": finished}
    chosen = recipe.model_copy(update={**start, "data": recipe.data.model_copy(update={"refit": True})})
    return through_every_step(chosen, pictures, tmp_path_factory.mktemp("runs") / "again")


@pytest.fixture(scope="session")
def outlined(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn pictures, each with an outline."""
    root = Path(shutil.copytree(pictures, tmp_path_factory.mktemp("outlined") / "data"))
    stems = {path.stem for path in root.glob("drawn/*/*.png")}
    (root / "outlines.json").write_text(json.dumps(dict.fromkeys(sorted(stems), OUTLINE)))
    return root


@pytest.fixture(scope="session")
def judged(finished: Path, outlined: Path, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run, its recipe with outlines and its maps judged by them; tests that write take a copy."""
    run = Path(shutil.copytree(finished, tmp_path_factory.mktemp("judged") / "tiny"))
    data = recipe.data.model_copy(update={"outlines": {"drawn": "outlines.json"}})
    (run / RECIPE).write_text(recipe.model_copy(update={"data": data}).model_dump_json())
    judge_explanations(outlined, run, resamples=50, curve_slices=3)
    return run


@pytest.fixture
def left_out(finished: Path, recipe: Recipe, tmp_path: Path) -> Path:
    """The finished run, the slices of fold 4 being a source left out whole."""
    run = Path(shutil.copytree(finished, tmp_path / "runs" / "tiny"))
    rows = read_index(run / INDEX)
    write_index([replace(row, dataset="away", fold=NO_FOLD) if row.fold == 4 else row for row in rows], run / INDEX)
    data = recipe.data.model_dump() | {"datasets": ("drawn", "away"), "leave_out": ("away",)}
    (run / RECIPE).write_text(json.dumps(recipe.model_dump(mode="json") | {"data": data}))
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A run that has its index and nothing else."""
    fresh = tmp_path / "runs" / "fresh"
    fresh.mkdir(parents=True)
    shutil.copyfile(finished / INDEX, fresh / INDEX)
    return fresh
