"""`python -m training quantize`: a run's graph in 8-bit integers, as a run that registers like any other."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from service.contract.card import MODEL_FILE
from service.contract.probabilities import probabilities
from training import calibrate, checkpoint
from training.calibrate import CALIBRATION, Calibration
from training.config import Recipe, read_recipe
from training.data.index import sha256_of
from training.data.slices import Slices
from training.errors import TrainingError, made_by
from training.export import read_graph
from training.graph import Floats, Graph
from training.run import RECIPE, load_folds
from training.scores import confusion_matrix, expected_calibration_error, negative_log_likelihood, precision_recall_f1
from training.variants.begin import begin
from training.variants.guard import QUANTIZATION
from training.variants.integers import precision_of, write_integers
from training.variants.ranges import METHODS, find_ranges, pick
from training.whole import write_whole

SUFFIX = "int8"
EACH = 32
"""Slices of each class that ranges are found on."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tried(_Strict):
    """One way to find ranges, on the validation folds' slices of known class.

    `divergence` is the mean Kullback-Leibler divergence from the float graph's probabilities, `agreement` the share of
    slices that get its label.
    """

    macro_f1: float
    nll: float
    ece: float
    agreement: float
    divergence: float


class Quantization(_Strict):
    """How a graph became integers: the way that was chosen among those tried, and on how many training slices."""

    float_sha256: str
    chosen: str
    slices: int
    folds: tuple[int, ...]
    tried: dict[str, Tried]


def quantize(data: Path, run: Path, to: Path, methods: Iterable[str] = METHODS) -> Quantization:
    """Write the variant's run `to`: `model.onnx`, `calibration.json` and `quantization.json` beside `run`'s own files.

    Ranges come from slices of the training folds; the way to find them whose answers to the validation folds stay
    closest to the float graph's is taken. Test folds are not touched. A refit learnt the validation folds, so that its
    integers keep the float graph's temperature.
    """
    recipe = read_recipe(made_by("train", run / RECIPE))
    source = read_graph(run)
    if precision_of(source) != "fp32":
        raise TrainingError(f"{run} is quantised already: quantise the run it came from")
    begin(run, to, SUFFIX)
    pixels = pick(load_folds(recipe, data, run, recipe.data.train_folds), EACH, recipe.seed)
    held_out = load_folds(recipe, data, run, recipe.data.val_folds)
    known = held_out.select(held_out.known)
    wanted, digest = Graph(source)(known.pixels).logits, sha256_of(run / checkpoint.BEST)
    found: dict[str, tuple[Calibration, Tried]] = {}
    for method in methods:
        path = write_integers(source, to / f"{method}.onnx", find_ranges(source, pixels, method))
        found[method] = _measure(recipe, Graph(path)(known.pixels).logits, wanted, known, digest)
    chosen = min(found, key=lambda method: found[method][1].divergence)
    _keep(to, chosen, found)
    report = Quantization(
        float_sha256=sha256_of(source),
        chosen=chosen,
        slices=len(pixels),
        folds=recipe.data.train_folds,
        tried={method: tried for method, (_, tried) in found.items()},
    )
    write_whole(to / CALIBRATION, found[chosen][0].model_dump_json(indent=2) + "\n")
    write_whole(to / QUANTIZATION, report.model_dump_json(indent=2) + "\n")
    return report


def _measure(recipe: Recipe, logits: Floats, wanted: Floats, known: Slices, digest: str) -> tuple[Calibration, Tried]:
    fitted = calibrate.fit(recipe, logits, known.targets, digest)
    answers, probs = logits.argmax(axis=1), probabilities(logits, fitted.temperature)
    ours, theirs = probabilities(logits, 1.0), probabilities(wanted, 1.0)
    matrix = confusion_matrix(answers, known.targets, logits.shape[1])
    tried = Tried(
        macro_f1=float(precision_recall_f1(matrix)[2].mean()),
        nll=negative_log_likelihood(probs, known.targets),
        ece=expected_calibration_error(probs, known.targets),
        agreement=float(np.mean(answers == wanted.argmax(axis=1))),
        divergence=float((theirs * (np.log(theirs) - np.log(ours))).sum(axis=1).mean()),
    )
    return fitted, tried


def _keep(to: Path, chosen: str, found: Iterable[str]) -> None:
    """The chosen graph under its own name, and no other."""
    (to / f"{chosen}.onnx").replace(to / MODEL_FILE)
    for method in found:
        (to / f"{method}.onnx").unlink(missing_ok=True)
