"""Every shipped recipe trains, on drawn heads of 64 pixels.

Backbones of more than a few million weights give way to timm's smallest of their family (VGG16 to a ResNet) and
weights start at random; that the large ones are built and pooled as they should is tested with the networks.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from training.config import Recipe, read_recipe
from training.history import CURVES, HISTORY
from training.index import index
from training.recipefile import merge
from training.train import train

RECIPES = sorted((Path(__file__).parents[2] / "training" / "recipes").glob("*.yaml"))
SMALL = {"efficientnet": "test_efficientnet", "tf_": "test_efficientnet", "resnet3": "resnet3", "resnet": "test_resnet",
         "vgg": "test_resnet", "unet/": "unet/tu-test_efficientnet"}  # fmt: skip
SIDE = 64


def shrink(recipe: Recipe) -> Recipe:
    """The recipe with a small network, small pictures and two steps; everything else stays."""
    architecture = next((small for big, small in SMALL.items() if recipe.architecture.startswith(big)), None)
    changes: dict[str, Any] = {
        "architecture": architecture or recipe.architecture,
        "weights": None,
        "weights_as": "trunk",
        "temperature_of": None,
        "size": SIDE,
        "stages": [{"size": SIDE, "epochs": 1}],
        "optimizer": {"batch_size": 16},
        "data": {"datasets": ["drawn"], "epoch_slices": 24, "split": "group", "leave_out": []},
    }
    if recipe.data.outlines:
        changes["data"]["outlines"] = {"drawn": "outlines.json"}
    if not recipe.optimizer.outlines_count:
        changes["cells"] = False
    folds = {"train_folds": [1, 2, 3], "val_folds": [4], "test_folds": [5], "folds": 5}
    return Recipe.model_validate(merge(recipe.model_dump(), changes, {"data": folds}))


@pytest.fixture(scope="module")
def outlined(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn heads, with an outline each."""
    root = tmp_path_factory.mktemp("outlined")
    square = [[20, 20], [50, 20], [50, 50], [20, 50]]
    (root / "outlines.json").write_text(json.dumps({path.stem: square for path in pictures.rglob("*.png")}))
    return root


def link_labels(recipe: Recipe, pictures: Path, root: Path) -> Path:
    """A data folder below `root` that holds the labels of the recipe alone."""
    home = root / "-".join(recipe.data.shares)
    for label in sorted({*recipe.class_names, *recipe.data.relabel} if recipe.data.relabel else recipe.data.shares):
        place = home / "drawn" / label
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(pictures / "drawn" / label)
    if not (home / "outlines.json").exists():
        (home / "outlines.json").symlink_to(root / "outlines.json")
    return home


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_takes_two_steps(path: Path, pictures: Path, outlined: Path) -> None:
    recipe = shrink(read_recipe(path))
    data, run = link_labels(recipe, pictures, outlined), outlined / "runs" / path.stem
    index(recipe, data, run)
    train(recipe, data, run)
    (line,) = [json.loads(text) for text in (run / HISTORY).read_text().splitlines()]
    assert 0 < line["train_loss"] < 10
    assert {"train_accuracy", "train_precision", "train_recall"} <= line.keys()
    assert ({"val_accuracy", "val_auroc"} <= line.keys()) == (not recipe.data.refit)
    assert ("val_dice" in line) == (recipe.optimizer.theta is not None)
    assert (run / CURVES).stat().st_size > 1000
