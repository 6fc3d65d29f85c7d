"""How a run's answers hold when the same slices are shown otherwise: turned, framed, too bright, noisy."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from service.contract.probabilities import tumor_probability
from training.calibrate import temperature_if_any
from training.config import Recipe, read_recipe
from training.data.index import NO_FOLD
from training.data.slices import Slices, read_slices
from training.errors import OrderError, made_by
from training.intervals import RESAMPLES, Interval
from training.measure import ALL
from training.paired import asks_both
from training.perturbations import PERTURBATIONS
from training.protocol import protocol
from training.run import RECIPE, input_spec, load_best, load_tested
from training.strict import Strict
from training.tumor import tumor_intervals
from training.validation import answers_of
from training.whole import write_whole

ROBUSTNESS = "robustness.json"


class Held(Strict):
    """Slices shown in one way: tumour or not, and the share of them that keeps the label it had as it is."""

    figures: dict[str, Interval]
    same_label: float


class Robustness(Strict):
    """`of` is the source left out whole, or all test folds; `shown` is by perturbation."""

    run: str
    protocol: str
    of: str
    slices: int
    shown: dict[str, Held]


def measure_robustness(data: Path, run: Path, target: Path, resamples: int = RESAMPLES) -> Robustness:
    """Write `<target>/robustness.json`: the run's test slices through every one of `PERTURBATIONS`, then preprocessed.

    Where one source is left out whole, that alone is asked. Raises `OrderError` where no class stands for no tumour,
    or the slices do not show both kinds.
    """
    recipe = read_recipe(made_by("train", run / RECIPE))
    tested, of = _asked(recipe, data, run)
    if not asks_both(tested, recipe.class_names):
        raise OrderError(f"{run}: tumour or not cannot be asked of slices that show one of them alone")
    network, temperature, spec = load_best(recipe, run), temperature_if_any(run), input_spec(recipe)
    answers = {}
    for name, change in PERTURBATIONS.items():
        seen = replace(tested, pixels=read_slices(tested.rows, data, spec, change, name))
        answers[name] = answers_of(network, seen, temperature)
    before, *_ = answers.values()
    shown = {
        name: Held(
            figures=tumor_intervals(tested.rows, tumor_probability(probs, recipe.class_names), recipe.seed, resamples),
            same_label=float((probs.argmax(axis=1) == before.argmax(axis=1)).mean()),
        )
        for name, probs in answers.items()
    }
    found = Robustness(run=run.name, protocol=protocol(recipe.data), of=of, slices=len(tested.rows), shown=shown)
    target.mkdir(parents=True, exist_ok=True)
    write_whole(target / ROBUSTNESS, found.model_dump_json(indent=2) + "\n")
    return found


def _asked(recipe: Recipe, data: Path, run: Path) -> tuple[Slices, str]:
    tested = load_tested(recipe, data, run)
    away = np.array([row.fold == NO_FOLD for row in tested.rows])
    return (tested.select(away), " and ".join(recipe.data.leave_out)) if away.any() else (tested, ALL)
