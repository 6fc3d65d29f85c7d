"""How a run's answers hold when the same slices are shown otherwise: turned, framed, too bright, noisy."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict
from rich.progress import track

from service.contract.preprocess import preprocess, to_grey
from service.contract.probabilities import NO_TUMOR, Probabilities, probabilities, tumor_probability
from training.blinders import Pixels
from training.calibrate import CALIBRATION, read_temperature
from training.config import Recipe, read_recipe
from training.data.index import NO_FOLD, Row
from training.data.slices import Slices
from training.errors import OrderError, made_by
from training.intervals import RESAMPLES, Interval
from training.measure import ALL
from training.networks.classifier import Classifier
from training.perturbations import PERTURBATIONS
from training.protocol import protocol
from training.run import RECIPE, input_spec, load_best, load_tested
from training.tumor import has_both, tumor_intervals
from training.validation import logits_of
from training.whole import write_whole

ROBUSTNESS = "robustness.json"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Held(_Strict):
    """Slices shown in one way: tumour or not, and the share of them that keeps the label it had as it is."""

    figures: dict[str, Interval]
    same_label: float


class Robustness(_Strict):
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
    if NO_TUMOR not in recipe.class_names or not has_both(tested.rows):
        raise OrderError(f"{run}: tumour or not cannot be asked of slices that show one of them alone")
    network, before, shown = load_best(recipe, run), None, {}
    temperature = read_temperature(run) if (run / CALIBRATION).exists() else 1.0
    for name, change in PERTURBATIONS.items():
        probs = _answers(network, _shown(tested, data, recipe, change, name), temperature)
        before = probs if before is None else before
        shown[name] = Held(
            figures=tumor_intervals(tested.rows, tumor_probability(probs, recipe.class_names), recipe.seed, resamples),
            same_label=float((probs.argmax(axis=1) == before.argmax(axis=1)).mean()),
        )
    found = Robustness(run=run.name, protocol=protocol(recipe.data), of=of, slices=len(tested.rows), shown=shown)
    target.mkdir(parents=True, exist_ok=True)
    write_whole(target / ROBUSTNESS, found.model_dump_json(indent=2) + "\n")
    return found


def _asked(recipe: Recipe, data: Path, run: Path) -> tuple[Slices, str]:
    tested = load_tested(recipe, data, run)
    away = np.array([row.fold == NO_FOLD for row in tested.rows])
    return (tested.select(away), " and ".join(recipe.data.leave_out)) if away.any() else (tested, ALL)


def _shown(
    tested: Slices, data: Path, recipe: Recipe, change: Callable[[Image.Image], Image.Image], name: str
) -> Slices:
    """The slices as the service would see them, had the pictures been changed."""
    spec = input_spec(recipe)

    def read(row: Row) -> Pixels:
        with Image.open(data / row.path) as image:
            return preprocess(change(to_grey(image)), spec)

    with ThreadPoolExecutor() as pool:
        pixels = list(track(pool.map(read, tested.rows), name, total=len(tested.rows), transient=True))
    return Slices(tested.rows, np.stack(pixels), tested.allowed)


def _answers(network: Classifier, slices: Slices, temperature: float) -> Probabilities:
    return probabilities(logits_of(network, slices, "cpu").numpy(), temperature)
