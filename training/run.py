"""What a run's folder holds: its recipe, its network at the best epoch, and the slices that its index deals out."""

from pathlib import Path

from torch import nn

from service.contract.card import InputSpec
from training import checkpoint
from training.config import Recipe
from training.data.index import NO_FOLD, read_index
from training.data.slices import Slices, load_slices
from training.errors import DataError, made_by
from training.index import INDEX
from training.networks.classifier import IMAGENET_MEAN, IMAGENET_STD, Classifier
from training.start import bare_network

RECIPE = "recipe.json"


def load_best(recipe: Recipe, run: Path) -> Classifier:
    """The run's network at its best epoch, in evaluation mode on the CPU."""
    network = bare_network(recipe)
    network.load_state_dict(checkpoint.load(made_by("train", run / checkpoint.BEST))["network"])
    return network.eval()


def load_outline(network: Classifier, run: Path) -> nn.Module | None:
    """What draws outlines from the network's features at the best epoch; None where the checkpoint does not hold it."""
    if network.cells is not None:
        return network.cells
    outline, kept = network.new_outline_head(), checkpoint.load(run / checkpoint.BEST).get("outline", {})
    if outline.state_dict().keys() != kept.keys():
        return None
    outline.load_state_dict(kept)
    return outline.eval()


def load_folds(recipe: Recipe, data: Path, run: Path, folds: tuple[int, ...]) -> Slices:
    """The slices of some folds as the network will see them when it serves; raises `DataError` where there are none."""
    rows = read_index(made_by("index", run / INDEX), recipe.data.datasets)
    chosen = [row for row in rows if row.fold in folds]
    if not chosen:
        raise DataError(f"{run / INDEX} lists no slices of folds {', '.join(map(str, folds)) or '(none)'}")
    return load_slices(chosen, data, input_spec(recipe), recipe.class_names, run.parent / "cache")


def load_tested(recipe: Recipe, data: Path, run: Path) -> Slices:
    """The slices of the test folds, and those of sources left out whole."""
    return load_folds(recipe, data, run, (*recipe.data.test_folds, *((NO_FOLD,) if recipe.data.leave_out else ())))


def load_splits(recipe: Recipe, data: Path, run: Path) -> tuple[Slices, Slices | None]:
    """Slices to learn at the augmentation's resolution and validation slices at the network's; a refit has none."""
    enlarged = recipe.model_copy(update={"size": source_spec(recipe).width})
    learnt = load_folds(enlarged, data, run, recipe.data.learnt_folds)
    return learnt, None if recipe.data.refit else load_folds(recipe, data, run, recipe.data.val_folds)


def input_spec(recipe: Recipe) -> InputSpec:
    """What the network of `recipe` is fed."""
    return InputSpec(height=recipe.size, width=recipe.size, mean=IMAGENET_MEAN, std=IMAGENET_STD)


def source_spec(recipe: Recipe) -> InputSpec:
    """What the augmentation is fed: larger, so that zooming in still shows detail."""
    side = round(recipe.size * recipe.augment.source_scale)
    return input_spec(recipe).model_copy(update={"height": side, "width": side})
