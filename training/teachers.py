"""Finished runs that teach another: what they answer, together, to the slices that it learns from.

An ensemble distilled into one network (Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network).
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.config import DistillConfig, Recipe, read_recipe
from training.errors import RecipeError, made_by
from training.networks.classifier import Classifier
from training.networks.plain import PlainNetwork
from training.objective import Taught
from training.run import RECIPE, load_best
from training.seen import count_seen


class Teachers:
    """Networks that learn no more, on one device."""

    def __init__(self, networks: Sequence[Classifier], config: DistillConfig) -> None:
        self._networks = [network.eval().requires_grad_(requires_grad=False) for network in networks]
        self._config = config

    @torch.no_grad()
    def teach(self, slices: Tensor) -> Taught | None:
        """Their mean answer to slices (n, h, w) in 0–255; None where nobody teaches."""
        if not self._networks:
            return None
        heat = self._config.temperature
        answers = [(network(slices).logits.float() / heat).softmax(dim=1) for network in self._networks]
        return Taught(torch.stack(answers).mean(dim=0), heat, self._config.weight)


def load_teachers(recipe: Recipe, run: Path, device: torch.device) -> Teachers:
    """The runs that `recipe` names, each at its best epoch.

    Raises `RecipeError` for a teacher of other classes or of another size where it answers one alone, and for one that
    learnt from what `run` is measured on: its answers would carry the test into the training.
    """
    return Teachers([_teacher(home, recipe, run).to(device) for home in recipe.distill.teachers], recipe.distill)


def _teacher(home: Path, recipe: Recipe, run: Path) -> Classifier:
    theirs = read_recipe(made_by("experiment", home / RECIPE))
    if theirs.class_names != recipe.class_names:
        raise RecipeError(f"{home} teaches {', '.join(theirs.class_names)}, not {', '.join(recipe.class_names)}")
    if seen := count_seen(home, recipe, run):
        raise RecipeError(f"{home} may not teach: {seen} of the slices held out here were its own")
    network = load_best(theirs, home)
    if isinstance(network.backbone, PlainNetwork) and any(stage.size != theirs.size for stage in recipe.stages):
        raise RecipeError(f"{home} answers slices of {theirs.size} px alone: every stage must train at that size")
    return network
