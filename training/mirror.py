"""What answering a slice and its mirror image brings: one of the levers that need no training."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from service.contract.probabilities import Probabilities
from training.calibrate import read_temperature
from training.config import Recipe, read_recipe
from training.data.index import NO_FOLD
from training.data.slices import Slices
from training.errors import made_by
from training.intervals import RESAMPLES
from training.measure import ALL
from training.paired import asks_both, of_classes, of_tumors, paired
from training.protocol import protocol
from training.run import RECIPE, load_best, load_tested
from training.validation import answers_of
from training.variants.report import Difference
from training.whole import write_whole

MIRROR = "mirror.json"
SHOWN = {"accuracy": "accuracy", "macro_f1": "macro F1", "ece": "ECE"}
Flags = npt.NDArray[np.bool_]


class Mirrored(BaseModel):
    """By source: the slice alone (`base`) beside the mean over it and its mirror image (`variant`).

    A source left out whole tells tumour or not; what the test folds hold of known class tells classes, under `ALL`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    protocol: str
    slices: dict[str, int]
    figures: dict[str, dict[str, Difference]]


def measure_mirror(data: Path, run: Path, target: Path, resamples: int = RESAMPLES) -> Mirrored:
    """Write `<target>/mirror.json`: the run's network on its test slices, with and without their mirror images."""
    recipe = read_recipe(made_by("train", run / RECIPE))
    slices, network = load_tested(recipe, data, run), load_best(recipe, run)
    temperature = read_temperature(run)

    def answer(seen: Slices) -> Probabilities:
        return answers_of(network, seen, temperature)

    alone = answer(slices)
    both = (alone + answer(Slices(slices.rows, np.ascontiguousarray(slices.pixels[..., ::-1]), slices.allowed))) / 2
    parts = {
        name: keep
        for name, keep in _parts(slices).items()
        if name == ALL or asks_both(slices.select(keep), recipe.class_names)
    }
    found = Mirrored(
        run=run.name,
        protocol=protocol(recipe.data),
        slices={name: int(keep.sum()) for name, keep in parts.items()},
        figures={
            name: _differences(slices.select(keep), alone[keep], both[keep], recipe, resamples, classes=name == ALL)
            for name, keep in parts.items()
        },
    )
    target.mkdir(parents=True, exist_ok=True)
    write_whole(target / MIRROR, found.model_dump_json(indent=2) + "\n")
    return found


def _parts(slices: Slices) -> dict[str, Flags]:
    """Which slices count for all test folds, and for each source that was left out."""
    dealt = np.array([row.fold != NO_FOLD for row in slices.rows])
    sources = np.array([row.dataset for row in slices.rows])
    left_out = {str(name): sources == name for name in sorted({*sources[~dealt].tolist()})}
    return {ALL: dealt & slices.known} | left_out


def _differences(
    slices: Slices, alone: Probabilities, both: Probabilities, recipe: Recipe, resamples: int, *, classes: bool
) -> dict[str, Difference]:
    figures = of_classes(slices.targets, tuple(SHOWN)) if classes else of_tumors(slices, recipe.class_names)
    found = paired(figures, alone, both, slices.rows, seed=recipe.seed, resamples=resamples)
    return {SHOWN.get(name, name): of for name, of in found.items()}
