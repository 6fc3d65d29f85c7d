"""One loop, top to bottom: a recipe and an index become a run with its best checkpoint."""

import json
import math
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from service.contract.card import CARD_FILE, Card, read_card
from training import checkpoint, memory
from training.batches import balance, draw_batches, size_of, steps_of
from training.calibrate import read_temperature
from training.config import Recipe, read_recipe
from training.data.outlines import Masks, load_masks
from training.data.slices import Slices
from training.errors import DataError, DivergedError, RecipeError, made_by
from training.history import CURVES, HISTORY, draw_curves, without_nan, write_line
from training.index import INDEX
from training.learner import Learner
from training.networks.classifier import Classifier
from training.networks.folded import settle
from training.origin import NOT_RECORDED, read_origin, write_origin
from training.processes import Processes
from training.progress import Watch
from training.run import RECIPE, input_spec, load_splits, source_spec
from training.seen import count_seen, find_seen
from training.start import name_weights, new_network
from training.tally import Tally
from training.teachers import load_teachers
from training.validation import overlap, validate
from training.whole import write_whole

BALANCE = "balance.json"
SETTLING = 16
"""Batches from which batch norms that were folded get statistics again."""


def train(recipe: Recipe, data: Path, run: Path, watch: Watch | None = None) -> Path:
    """Train on the run's `index.csv`, keep the best epoch by `recipe.best_by`, resume where `run` left off.

    A refit holds nothing out that could choose, and keeps its last epoch, or with no epoch what it begins with. Returns
    the path of the best checkpoint. The recipe in effect is saved beside it; `watch` is shown each line of the history,
    in the first process alone. Raises `RecipeError` where the run began with another recipe or the weights to start
    from are missing, `DivergedError` where the network's answers are no numbers any more, `DataError` where no epoch
    can be chosen, `OrderError` where the run that a refit has its temperature of was not calibrated.
    """
    _refuse_false_start(recipe, run)
    _refuse_false_temperature(recipe, run)
    processes = Processes(recipe.precision)
    checkpoint.seed_everything(recipe.seed)
    with processes.machine.main_process_first():
        source, held_out = load_splits(recipe, data, run)
        masks = load_masks(source.rows, data, recipe.data.outlines, source_spec(recipe))
        held_masks = _held_masks(recipe, data, held_out) if held_out else None
        network = new_network(recipe)
    _settle(network, recipe, source, masks)
    network = network.to(processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch takes it
    teachers = load_teachers(recipe, run, processes.device)
    learner = Learner(network, recipe, processes, steps=steps_of(recipe, source), teachers=teachers)
    generator = torch.Generator().manual_seed(recipe.seed)
    if processes.first:
        _begin(recipe, run, source)

    progress = _resume(run, learner, generator)
    for epoch in range(progress["epoch"], recipe.epochs):
        if progress["stale"] >= recipe.patience:
            break
        started, tally = time.monotonic(), Tally(len(recipe.class_names))
        memory.forget_peak(processes.device)
        processes.reseed(recipe.seed, epoch)
        network.train()
        for batch in draw_batches(source, masks, recipe, generator, epoch=epoch):
            tally.add(*learner.step(batch))

        processes.average_buffers(network, learner.average)
        learnt = tally.figures(processes)
        measured = _validate(learner, held_out, held_masks, processes) if held_out else {}
        score = _score(recipe, run, measured) if held_out else _last_is_best(epoch, learnt)
        learner.schedule.after_epoch(score)
        better = score > progress["best"]
        progress = {
            "epoch": epoch + 1,
            "best": max(progress["best"], score),
            "stale": 0 if better else progress["stale"] + 1,
        }
        told = {"epoch": epoch, "size": size_of(recipe, epoch), **learnt, **without_nan(measured)}
        told |= {"best": better, "learning_rate": learner.rate, "micro_batch": learner.parts.size}
        told |= {"peak_mb": memory.peak_mb(processes.device), "seconds": round(time.monotonic() - started, 1)}
        if processes.first:
            if better:
                checkpoint.save({**learner.best(), "epoch": epoch, **without_nan(measured)}, run / checkpoint.BEST)
            write_line(run, told)
            _save(run, learner, generator, progress)
        if watch and processes.first:
            watch(told)
    if processes.first and not recipe.epochs:
        checkpoint.save({**learner.best(), "epoch": 0}, run / checkpoint.BEST)
        _save(run, learner, generator, progress)
    if processes.first and (run / HISTORY).exists():
        draw_curves([run], run / CURVES)
    processes.machine.wait_for_everyone()
    return run / checkpoint.BEST


def _settle(network: Classifier, recipe: Recipe, source: Slices, masks: Masks) -> None:
    """Batch norms that were folded get statistics again, of slices as the first epoch shows them."""
    if recipe.weights_as == "graph":
        generator = torch.Generator().manual_seed(recipe.seed)
        batches = islice(draw_batches(source, masks, recipe, generator, epoch=0), SETTLING)
        settle(network, (batch.slices for batch in batches))


def _begin(recipe: Recipe, run: Path, source: Slices) -> None:
    """Write down what is about to be trained, on what, and from which weights; what goes on keeps its origin."""
    write_whole(run / RECIPE, recipe.model_dump_json(indent=2))
    write_whole(run / BALANCE, json.dumps(balance(source, recipe), indent=2) + "\n")
    if not (run / checkpoint.LAST).exists():
        write_origin(run, name_weights(recipe))


def _validate(learner: Learner, held_out: Slices, masks: Masks | None, processes: Processes) -> dict[str, float]:
    measured = validate(learner.average, held_out, processes)
    if masks:
        measured |= overlap(learner.averaged, learner.drawing, held_out, masks, processes.device)
    return measured


def _score(recipe: Recipe, run: Path, measured: dict[str, float]) -> float:
    """The figure that chooses the epoch, turned so that more of it is better."""
    score = -measured["val_loss"] if recipe.best_by == "val_loss" else measured[recipe.best_by]
    if math.isnan(score):
        raise DataError(f"the validation folds of {run} hold nothing that {recipe.best_by} can be told on")
    return score


def _last_is_best(epoch: int, learnt: dict[str, float]) -> float:
    """The score of an epoch that nothing was held out from; raises `DivergedError`, as a validation would."""
    if not math.isfinite(learnt["train_loss"]):
        raise DivergedError
    return float(epoch)


def _held_masks(recipe: Recipe, data: Path, held_out: Slices) -> Masks | None:
    """The masks of the validation slices, where finding them is part of the task."""
    if recipe.optimizer.theta is None:
        return None
    return load_masks(held_out.rows, data, recipe.data.outlines, input_spec(recipe))


def _refuse_false_start(recipe: Recipe, run: Path) -> None:
    made_by("index", run / INDEX)
    for path in (*recipe.starts, *([recipe.channels] if recipe.channels else [])):
        if not path.is_file():
            raise RecipeError(f"the recipe starts from {path}, which does not exist")
    for path in recipe.starts:
        home, seen = path.parent, 0
        if (home / CARD_FILE).exists():
            seen = len(find_seen(_fitting(home, recipe), recipe, run))
        elif home.resolve() != run.resolve() and (home / RECIPE).exists():
            seen = count_seen(home, recipe, run)
        if seen:
            raise RecipeError(f"{path} is no start: {seen} of the slices held out here were its own")
    if (run / checkpoint.LAST).exists() and read_recipe(run / RECIPE) != recipe:
        raise RecipeError(f"{run} began with another recipe: choose a new run")
    if (run / checkpoint.LAST).exists() and read_origin(run).weights not in {NOT_RECORDED, name_weights(recipe)}:
        raise RecipeError(f"{run} began with other weights, or was taught by others: choose a new run")


def _fitting(bundle: Path, recipe: Recipe) -> Card:
    """The card of a version to start from; raises `RecipeError` where it cannot be read or its classes are others."""
    try:
        card = read_card(bundle)
    except (OSError, ValueError) as error:
        raise RecipeError(f"{bundle / CARD_FILE} cannot be read: {error}") from None
    if card.class_names != recipe.class_names:
        raise RecipeError(f"{bundle} answers {', '.join(card.class_names)}, the recipe {', '.join(recipe.class_names)}")
    return card


def _refuse_false_temperature(recipe: Recipe, run: Path) -> None:
    """What would be found missing, or fitted to slices that are tested, only after all epochs."""
    home = recipe.temperature_of
    if home is None:
        return
    read_temperature(home)
    if seen := count_seen(home, recipe, run):
        raise RecipeError(f"{home} gives no temperature: {seen} of the slices held out here were its own")


def _save(run: Path, learner: Learner, generator: torch.Generator, progress: dict[str, Any]) -> None:
    random = {"generator": generator.get_state(), "torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        random["cuda"] = torch.cuda.get_rng_state()
    checkpoint.save({**learner.state(), **random, "progress": progress}, run / checkpoint.LAST)


def _resume(run: Path, learner: Learner, generator: torch.Generator) -> dict[str, Any]:
    if not (run / checkpoint.LAST).exists():
        return {"epoch": 0, "best": -math.inf, "stale": 0}
    state = checkpoint.load(run / checkpoint.LAST)
    learner.load(state)
    generator.set_state(state["generator"])
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
    progress: dict[str, Any] = state["progress"]
    return progress
