"""How far the label can be told without seeing a tumour: the source shortcut, measured."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from service.contract.probabilities import NO_TUMOR, Probabilities, tumor_probability
from training import blinders
from training.baselines import logistic
from training.blinders import Pixels
from training.calibrate import temperature_if_any
from training.config import Recipe, read_recipe
from training.data.index import NO_FOLD
from training.data.outlines import load_masks
from training.data.slices import Slices
from training.errors import made_by
from training.intervals import RESAMPLES, Chosen, Interval, bounded, intervals
from training.measure import ALL
from training.protocol import protocol
from training.run import RECIPE, input_spec, load_best, load_folds, load_tested
from training.scores import Floats
from training.strict import Strict
from training.tumor import has_both, tumor_auroc
from training.validation import answers_of
from training.whole import write_whole

SHORTCUT = "shortcut.json"
SMALL = 64
"""Side of the slices that the baselines read."""
VIEWS: dict[str, Callable[[Pixels], Pixels]] = {
    "whole slice": np.asarray,
    "border only": blinders.border_only,
    "centre only": blinders.centre_only,
}
BASELINES: dict[str, Callable[[Slices], Floats]] = {
    "size and aspect": blinders.shape_features,
    "mean grey level": blinders.mean_features,
    "grey histogram": blinders.histogram_features,
    "border's grey levels": blinders.border_features,
}


class Told(Strict):
    """What is told of one source's slices; `blind` is the share of its most frequent label, None: not to be asked."""

    dataset: str
    left_out: bool
    slices: int
    blind: float | None
    accuracy: Interval | None
    auroc: Interval | None


class Shortcut(Strict):
    """By view or baseline, then by source; `in_sight` is the mean share of an outlined tumour that the frame shows."""

    run: str
    protocol: str
    frame: float
    in_sight: float | None
    network: dict[str, tuple[Told, ...]]
    baselines: dict[str, tuple[Told, ...]]


def measure_shortcut(data: Path, run: Path, target: Path, resamples: int = RESAMPLES) -> Shortcut:
    """Write `<target>/shortcut.json`: the run's network on parts of its test slices, and trivial baselines beside it.

    The baselines are logistic regressions fitted on the training folds. Sources left out whole are measured too.
    """
    recipe = read_recipe(made_by("train", run / RECIPE))
    found = Shortcut(
        run=run.name,
        protocol=protocol(recipe.data),
        frame=blinders.FRAME,
        in_sight=_in_sight(recipe, data, load_tested(recipe, data, run)),
        network=_by_network(recipe, data, run, resamples),
        baselines=_by_baselines(recipe.model_copy(update={"size": SMALL}), data, run, resamples),
    )
    target.mkdir(parents=True, exist_ok=True)
    write_whole(target / SHORTCUT, found.model_dump_json(indent=2) + "\n")
    return found


def told(slices: Slices, probs: Probabilities, recipe: Recipe, resamples: int) -> tuple[Told, ...]:
    """For each source, and for all test folds together, what `probs` (N, classes) tell of it."""
    sources = np.array([row.dataset for row in slices.rows])
    dealt = np.array([row.fold != NO_FOLD for row in slices.rows])
    parts = {name: sources == name for name in sorted(set(sources.tolist()))} | {ALL: dealt}
    return tuple(_told(name, slices.select(keep), probs[keep], recipe, resamples) for name, keep in parts.items())


def _told(name: str, slices: Slices, probs: Probabilities, recipe: Recipe, resamples: int) -> Told:
    known = slices.known
    return Told(
        dataset=name,
        left_out=all(row.fold == NO_FOLD for row in slices.rows),
        slices=len(slices.rows),
        blind=float(np.bincount(slices.targets[known]).max() / known.sum()) if known.any() else None,
        accuracy=_accuracy(slices.select(known), probs[known], recipe.seed, resamples) if known.any() else None,
        auroc=_auroc(slices, probs, recipe, resamples),
    )


def _accuracy(known: Slices, probs: Probabilities, seed: int, resamples: int) -> Interval:
    right = probs.argmax(axis=1) == known.targets

    def figures(chosen: Chosen) -> dict[str, float]:
        return {"accuracy": float(right[chosen].mean())}

    groups = len({(row.dataset, row.group) for row in known.rows})
    return bounded(intervals(figures, known.rows, seed, resamples)["accuracy"], groups)


def _auroc(slices: Slices, probs: Probabilities, recipe: Recipe, resamples: int) -> Interval | None:
    if NO_TUMOR not in recipe.class_names or not has_both(slices.rows):
        return None
    tumor = tumor_probability(probs, recipe.class_names)
    return tumor_auroc(slices.rows, tumor, recipe.seed, resamples)


def _by_network(recipe: Recipe, data: Path, run: Path, resamples: int) -> dict[str, tuple[Told, ...]]:
    tested, network = load_tested(recipe, data, run), load_best(recipe, run)
    temperature = temperature_if_any(run)

    def answer(pixels: Pixels) -> Probabilities:
        return answers_of(network, Slices(tested.rows, pixels, tested.allowed), temperature)

    return {name: told(tested, answer(show(tested.pixels)), recipe, resamples) for name, show in VIEWS.items()}


def _by_baselines(recipe: Recipe, data: Path, run: Path, resamples: int) -> dict[str, tuple[Told, ...]]:
    """The recipe's size is the baselines' own."""
    seen, tested = load_folds(recipe, data, run, recipe.data.learnt_folds), load_tested(recipe, data, run)
    seen, classes = seen.select(seen.known), len(recipe.class_names)
    return {
        name: told(tested, logistic(features(seen), seen.targets, features(tested), classes), recipe, resamples)
        for name, features in BASELINES.items()
    }


def _in_sight(recipe: Recipe, data: Path, tested: Slices) -> float | None:
    if not recipe.data.outlines:
        return None
    masks = load_masks(tested.rows, data, recipe.data.outlines, input_spec(recipe))
    outlined = [mask for mask, known in zip(masks.pixels, masks.known, strict=True) if known and mask.any()]
    return float(blinders.share_in_frame(outlined).mean()) if outlined else None
