"""Finished runs that teach another: what they answer, together, to the slices that it learns from.

An ensemble distilled into one network (Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.config import DistillConfig, Recipe, read_recipe
from training.data.index import NO_FOLD, Row, read_index
from training.errors import RecipeError, made_by
from training.index import INDEX
from training.networks.classifier import Classifier
from training.objective import Taught
from training.run import RECIPE, load_best

Group = tuple[str, str]
"""A dataset and a group of near-duplicates in it."""


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

    Raises `RecipeError` for a teacher of other classes, and for one that learnt from what `run` is measured on: its
    answers would carry the test into the training.
    """
    rows = read_index(made_by("index", run / INDEX), recipe.data.datasets)
    return Teachers([_teacher(home, recipe, rows).to(device) for home in recipe.distill.teachers], recipe.distill)


def _teacher(home: Path, recipe: Recipe, rows: Sequence[Row]) -> Classifier:
    theirs = read_recipe(made_by("experiment", home / RECIPE))
    if theirs.class_names != recipe.class_names:
        raise RecipeError(f"{home} teaches {', '.join(theirs.class_names)}, not {', '.join(recipe.class_names)}")
    known = read_index(made_by("index", home / INDEX), theirs.data.datasets)
    names = _names((*known, *rows))
    tested = (*recipe.data.test_folds, NO_FOLD)
    learnt, chosen = (_of(known, folds, names) for folds in (theirs.data.train_folds, theirs.data.val_folds))
    held_out = [row for row in rows if row.fold in (*recipe.data.val_folds, *tested)]
    seen = [row for row in held_out if names[row.path] & (learnt | chosen if row.fold in tested else learnt)]
    if seen:
        raise RecipeError(f"{home} may not teach: {len(seen)} of the slices held out here were its own")
    return load_best(theirs, home)


def _names(rows: Sequence[Row]) -> Mapping[str, set[Group]]:
    """By path, the groups of a picture and of the one that it copies, in whichever index; they may part them apart."""
    groups: defaultdict[str, set[Group]] = defaultdict(set)
    for row in rows:
        groups[row.path].add((row.dataset, row.group))
    for row in rows:
        groups[row.path] |= groups.get(row.same_as, set())
    return groups


def _of(rows: Sequence[Row], folds: Sequence[int], names: Mapping[str, set[Group]]) -> set[Group]:
    """All names of the groups of some folds."""
    return set().union(*(names[row.path] for row in rows if row.fold in folds))
