"""One number that makes probabilities mean what they say: the temperature (Guo et al. 2017, §4.2)."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, PositiveFloat

from service.contract.probabilities import probabilities
from training import checkpoint
from training.config import Recipe, read_recipe
from training.data.index import sha256_of
from training.errors import OrderError, made_by
from training.run import RECIPE, load_best, load_folds
from training.scores import Ints, expected_calibration_error, negative_log_likelihood
from training.validation import logits_of
from training.variants.guard import refuse_quantized
from training.whole import read_whole, write_whole

CALIBRATION = "calibration.json"

Logits = npt.NDArray[np.float32]


class Calibration(BaseModel):
    """The temperature, and what it did to the slices it was fitted on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: PositiveFloat
    folds: tuple[int, ...]
    slices: int
    nll_before: float | None = None
    nll_after: float | None = None
    ece_before: float | None = None
    ece_after: float | None = None
    checkpoint_sha256: str
    temperature_of: str | None = None


def calibrate(data: Path, run: Path) -> Calibration:
    """Write `<run>/calibration.json`, fitted on the validation folds' slices of known class and on nothing else.

    A refit learnt these: it takes the temperature, and what it did to the slices, of the run that held them out.
    """
    refuse_quantized(run, "calibrate")
    recipe = read_recipe(made_by("train", run / RECIPE))
    digest = sha256_of(made_by("train", run / checkpoint.BEST))
    found = _taken(recipe, digest) if recipe.data.refit else _fitted(recipe, data, run, digest)
    write_whole(run / CALIBRATION, found.model_dump_json(indent=2) + "\n")
    return found


def _fitted(recipe: Recipe, data: Path, run: Path, digest: str) -> Calibration:
    network = load_best(recipe, run)
    held_out = load_folds(recipe, data, run, recipe.data.val_folds)
    known = held_out.select(held_out.known)
    logits = logits_of(network, known, "cpu").numpy()
    return measure(logits, known.targets, recipe.data.val_folds, digest)


def fit(recipe: Recipe, logits: Logits, targets: Ints, digest: str) -> Calibration:
    """The calibration of what answered the validation slices (N, classes) so; a refit takes another run's."""
    return _taken(recipe, digest) if recipe.data.refit else measure(logits, targets, recipe.data.val_folds, digest)


def _taken(recipe: Recipe, digest: str) -> Calibration:
    """Another run's, or a temperature of 1 that nothing was fitted to."""
    if recipe.temperature_of is None:
        return Calibration(temperature=1, folds=(), slices=0, checkpoint_sha256=digest)
    read_temperature(recipe.temperature_of)
    theirs = read_whole(recipe.temperature_of / CALIBRATION, Calibration)
    taken = {"checkpoint_sha256": digest, "temperature_of": recipe.temperature_of.name}
    return theirs.model_copy(update=taken)


def read_temperature(run: Path) -> float:
    """The temperature of the run's best checkpoint; raises `OrderError` where it was fitted to another one."""
    path = made_by("calibrate", run / CALIBRATION)
    found = read_whole(path, Calibration)
    if found.checkpoint_sha256 != sha256_of(run / checkpoint.BEST):
        raise OrderError(f"{path} was fitted to another checkpoint: run `python -m training calibrate` again")
    return found.temperature


def temperature_if_any(run: Path) -> float:
    """The same of a run that may not be calibrated yet: 1 there."""
    return read_temperature(run) if (run / CALIBRATION).exists() else 1.0


def measure(logits: Logits, targets: Ints, folds: tuple[int, ...], digest: str) -> Calibration:
    """Fit the temperature on logits (N, classes), and say what it changed."""
    temperature = fit_temperature(logits, targets)
    before, after = probabilities(logits, 1.0), probabilities(logits, temperature)
    return Calibration(
        temperature=temperature,
        folds=folds,
        slices=len(targets),
        nll_before=negative_log_likelihood(before, targets),
        nll_after=negative_log_likelihood(after, targets),
        ece_before=expected_calibration_error(before, targets),
        ece_after=expected_calibration_error(after, targets),
        checkpoint_sha256=digest,
    )


def fit_temperature(logits: Logits, targets: Ints) -> float:
    """The temperature that minimises the negative log-likelihood of `targets` (N,) given logits (N, classes)."""
    values, answers = torch.from_numpy(logits).double(), torch.from_numpy(targets)
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        nll = torch.nn.functional.cross_entropy(values / log_temperature.exp(), answers)
        nll.backward()
        return nll

    optimizer.step(loss)
    return math.exp(log_temperature.item())
