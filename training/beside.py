"""One run beside another that made one choice otherwise: what the choice brings."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from service.contract.probabilities import Probabilities
from training.calibrate import read_temperature
from training.config import Recipe, read_recipe
from training.data.index import NO_FOLD
from training.data.slices import Slices
from training.errors import DataError, made_by
from training.intervals import RESAMPLES
from training.paired import Figures, asks_both, of_classes, of_tumors, paired, refuse_other_classes
from training.protocol import protocol
from training.run import RECIPE, load_best, load_folds
from training.validation import answers_of
from training.variants.report import Difference
from training.whole import write_whole

BESIDE = "beside.json"
VALIDATION, TEST = "validation", "test"
COMPARED = ("accuracy", "macro_f1", "nll")


class Beside(BaseModel):
    """What `of` (`base`) and `run` (`variant`) answer to their validation and test slices of known class.

    Validation slices that either of them learnt, in a refit, are left out.
    Of a source that both were trained without: whether they tell its tumours, under the source's name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    of: str
    protocol: str
    slices: dict[str, int]
    figures: dict[str, dict[str, Difference]]


class _Answered(NamedTuple):
    slices: Slices
    probs: Probabilities
    figures: Figures


def measure_beside(data: Path, run: Path, of: Path, target: Path, resamples: int = RESAMPLES) -> Beside:
    """Write `<target>/beside.json`: both networks, each at its run's best epoch, size and temperature.

    Raises `DataError` where the runs know other classes, were left without other sources or have other slices in a
    fold.
    """
    recipe, other = (read_recipe(made_by("train", each / RECIPE)) for each in (run, of))
    refuse_other_classes(of, run, other.class_names, recipe.class_names)
    validated = not (recipe.data.refit or other.data.refit)
    ours, theirs = _answer(recipe, data, run, validated), _answer(other, data, of, validated)
    if ours.keys() != theirs.keys():
        raise DataError(f"{of} and {run} were left without other sources: only runs of one protocol can be compared")
    for part in ours:
        if [row.path for row in ours[part].slices.rows] != [row.path for row in theirs[part].slices.rows]:
            raise DataError(f"{of} and {run} have other {part} slices: only runs of one protocol can be compared")
    found = Beside(
        run=run.resolve().name,
        of=of.resolve().name,
        protocol=protocol(recipe.data),
        slices={part: len(answered.slices.rows) for part, answered in ours.items()},
        figures={part: _differences(theirs[part], ours[part], recipe.seed, resamples) for part in ours},
    )
    target.mkdir(parents=True, exist_ok=True)
    write_whole(target / BESIDE, found.model_dump_json(indent=2) + "\n")
    return found


def _answer(recipe: Recipe, data: Path, run: Path, validated: bool) -> dict[str, _Answered]:
    network, temperature = load_best(recipe, run), read_temperature(run)

    def answer(slices: Slices, figures: Figures) -> _Answered:
        return _Answered(slices, answers_of(network, slices, temperature), figures)

    answered = {}
    folds_of = {VALIDATION: recipe.data.val_folds} if validated else {}
    for part, folds in {**folds_of, TEST: recipe.data.test_folds}.items():
        seen = load_folds(recipe, data, run, folds)
        known = seen.select(seen.known)
        answered[part] = answer(known, of_classes(known.targets, COMPARED))
    for source, away in _left_out(recipe, data, run).items():
        if asks_both(away, recipe.class_names):
            answered[source] = answer(away, of_tumors(away, recipe.class_names))
    return answered


def _left_out(recipe: Recipe, data: Path, run: Path) -> dict[str, Slices]:
    """The slices of each source that the run was trained without."""
    if not recipe.data.leave_out:
        return {}
    away = load_folds(recipe, data, run, (NO_FOLD,))
    return {
        source: away.select(np.array([row.dataset == source for row in away.rows])) for source in recipe.data.leave_out
    }


def _differences(base: _Answered, variant: _Answered, seed: int, resamples: int) -> dict[str, Difference]:
    return paired(variant.figures, base.probs, variant.probs, variant.slices.rows, seed=seed, resamples=resamples)
