"""One loop, top to bottom: a recipe and an index become a run with its best checkpoint."""

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from sklearn.metrics import f1_score
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from service.contract.card import InputSpec
from service.contract.probabilities import NO_TUMOR
from training import checkpoint
from training.config import OptimizerConfig, Recipe, read_recipe
from training.data.augment import augment_outlined, mix
from training.data.graft import Sample
from training.data.index import read_index
from training.data.outlines import Masks, load_masks
from training.data.slices import Slices, draw_weights, load_slices
from training.errors import RecipeError, made_by
from training.index import INDEX
from training.losses import outline_loss, partial_label_loss
from training.networks.classifier import IMAGENET_MEAN, IMAGENET_STD, Classifier, load_backbone
from training.origin import write_origin

RECIPE = "recipe.json"
LOG = "log.jsonl"


def train(recipe: Recipe, data: Path, run: Path) -> Path:
    """Train on the run's `index.csv`, keep the best epoch by validation macro-F1, resume where `run` left off.

    Returns the path of the best checkpoint. The recipe in effect is saved beside it. Raises `RecipeError` where the
    run began with another recipe or the weights to start from are missing.
    """
    _refuse_false_start(recipe, run)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    checkpoint.seed_everything(recipe.seed)
    (run / RECIPE).write_text(recipe.model_dump_json(indent=2))
    write_origin(run)

    source, held_out = load_splits(recipe, data, run)
    masks = load_masks(source.rows, data, recipe.data.outlines, source_spec(recipe))
    chances = torch.from_numpy(draw_weights(source, recipe.data))
    network = new_network(recipe).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch takes it
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.optimizer.average), use_buffers=True)
    outline = torch.nn.Conv2d(network.head.in_features, 1, kernel_size=1).to(device)
    optimizer = new_optimizer(network, outline, recipe.optimizer)
    steps = math.ceil(recipe.data.epoch_slices / recipe.optimizer.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warm_cosine(steps, recipe))
    generator = torch.Generator().manual_seed(recipe.seed)
    parts = {"network": network, "outline": outline, "average": average, "optimizer": optimizer, "schedule": schedule}

    progress = _resume(run, parts, generator)
    for epoch in range(progress["epoch"], recipe.epochs):
        if progress["stale"] >= recipe.patience:
            break
        started = time.monotonic()
        size = _size(recipe, epoch)
        network.train()
        losses = []
        for grey, seen, allowed, known, _ in _batches(source, masks, chances, size, recipe=recipe, generator=generator):
            mixed, partners, share = mix(grey.squeeze(1) * 255, allowed, recipe.augment.mixup)
            (logits, _), features = network.with_features(mixed.to(device))
            loss = share * partial_label_loss(logits, allowed.to(device), recipe.optimizer.smoothing)
            loss += (1 - share) * partial_label_loss(logits, partners.to(device), recipe.optimizer.smoothing)
            loss += recipe.optimizer.outline_weight * outline_loss(outline(features), seen.to(device), known.to(device))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.optimizer.clip)
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            losses.append(loss.item())

        measured = validate(average, held_out, device)
        better = measured["val_macro_f1"] > progress["best"]
        progress = {
            "epoch": epoch + 1,
            "best": max(progress["best"], measured["val_macro_f1"]),
            "stale": 0 if better else progress["stale"] + 1,
        }
        if better:
            weights = {"network": average.module.state_dict(), "epoch": epoch, **measured}
            checkpoint.save(weights, run / checkpoint.BEST)
        line = {"epoch": epoch, "size": size, "train_loss": float(np.mean(losses)), **measured}
        _log(run, {**line, "best": better, "seconds": round(time.monotonic() - started, 1)})
        _save(run, parts, generator, progress)
    return run / checkpoint.BEST


def load_best(recipe: Recipe, run: Path) -> Classifier:
    """The run's network at its best epoch, in evaluation mode on the CPU."""
    network = Classifier(recipe.architecture, len(recipe.class_names))
    network.load_state_dict(checkpoint.load(made_by("train", run / checkpoint.BEST))["network"])
    return network.eval()


def load_folds(recipe: Recipe, data: Path, run: Path, folds: tuple[int, ...]) -> Slices:
    """The slices of some folds as the network will see them when it serves."""
    rows = read_index(made_by("index", run / INDEX), recipe.data.datasets)
    chosen = [row for row in rows if row.fold in folds]
    return load_slices(chosen, data, input_spec(recipe), recipe.class_names, run.parent / "cache")


def load_splits(recipe: Recipe, data: Path, run: Path) -> tuple[Slices, Slices]:
    """Training slices at the augmentation's resolution and validation slices at the network's."""
    enlarged = recipe.model_copy(update={"size": source_spec(recipe).width})
    return (
        load_folds(enlarged, data, run, recipe.data.train_folds),
        load_folds(recipe, data, run, recipe.data.val_folds),
    )


def input_spec(recipe: Recipe) -> InputSpec:
    """What the network of `recipe` is fed."""
    return InputSpec(height=recipe.size, width=recipe.size, mean=IMAGENET_MEAN, std=IMAGENET_STD)


def source_spec(recipe: Recipe) -> InputSpec:
    """What the augmentation is fed: larger, so that zooming in still shows detail."""
    side = round(recipe.size * recipe.augment.source_scale)
    return input_spec(recipe).model_copy(update={"height": side, "width": side})


def new_network(recipe: Recipe) -> Classifier:
    """The recipe's network at its starting weights."""
    classes = len(recipe.class_names)
    network = Classifier(recipe.architecture, classes, dropout=recipe.dropout, drop_path=recipe.drop_path)
    if recipe.weights:
        load_backbone(network, recipe.weights)
    return network


def new_optimizer(network: Classifier, outline: torch.nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """AdamW; the fresh heads learn faster, biases and norms do not decay (Loshchilov & Hutter 2019)."""
    rate, groups = config.learning_rate, []
    for part, factor in (
        (network.backbone, 1.0),
        (network.head, config.head_factor),
        (outline, config.head_factor),
    ):
        for decays in (True, False):
            chosen = [p for p in part.parameters() if (p.ndim > 1) == decays]
            decay = config.weight_decay if decays else 0.0
            groups.append({"params": chosen, "lr": rate * factor, "weight_decay": decay})
    return torch.optim.AdamW(groups, fused=True)


@torch.inference_mode()
def logits_of(network: torch.nn.Module, slices: Slices, device: str, batch_size: int = 64) -> Tensor:
    """Logits (N, classes), float32 on the CPU, in evaluation mode."""
    network.eval()
    starts = range(0, len(slices.rows), batch_size)
    parts = [network(torch.from_numpy(slices.pixels[i : i + batch_size].copy()).to(device)).logits for i in starts]
    return torch.cat(parts).float().cpu()


def validate(network: torch.nn.Module, slices: Slices, device: str) -> dict[str, float]:
    """Loss and tumour sensitivity over all slices, accuracy and macro-F1 over those of known class."""
    logits = logits_of(network, slices, device)
    allowed, known, targets = torch.from_numpy(slices.allowed), slices.known, slices.targets
    answers = logits.argmax(dim=1).numpy()
    unknown = slices.allowed[~known, answers[~known]]
    return {
        "val_loss": partial_label_loss(logits, allowed).item(),
        "val_accuracy": float((answers == targets)[known].mean()),
        "val_macro_f1": float(f1_score(targets[known], answers[known], average="macro")),
        "val_unknown_tumor_sensitivity": float(unknown.mean()) if len(unknown) else math.nan,
    }


def _batches(
    source: Slices, masks: Masks, chances: Tensor, size: int, *, recipe: Recipe, generator: torch.Generator
) -> Iterator[Sample]:
    """Augmented slices in 0–1, their masks, the classes allowed, and for which of them the mask is known."""
    drawn = torch.multinomial(chances, recipe.data.epoch_slices, replacement=True, generator=generator).numpy()
    starts = range(0, len(drawn), recipe.optimizer.batch_size)
    absent = recipe.class_names.index(NO_TUMOR) if NO_TUMOR in recipe.class_names else 0
    for start in track(starts, f"train {size} px", transient=True):
        chosen = drawn[start : start + recipe.optimizer.batch_size]
        pixels, seen, allowed, known = (
            torch.from_numpy(part[chosen]) for part in (source.pixels, masks.pixels, source.allowed, masks.known)
        )
        bounded = ~allowed[:, [recipe.class_names.index(name) for name in recipe.augment.infiltrating]].any(dim=1)
        batch = Sample(pixels.unsqueeze(1), seen.unsqueeze(1), allowed, known, bounded)
        yield augment_outlined(batch, size, recipe.augment, absent=absent, generator=generator)


def _size(recipe: Recipe, epoch: int) -> int:
    return next(size for end, size in _stage_ends(recipe) if epoch < end)


def _stage_ends(recipe: Recipe) -> Iterator[tuple[int, int]]:
    end = 0
    for stage in recipe.stages:
        end += stage.epochs
        yield end, stage.size


def _warm_cosine(steps: int, recipe: Recipe) -> Any:
    warm, total = recipe.optimizer.warmup_epochs * steps, recipe.epochs * steps

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.01 + 0.99 * (1 + math.cos(math.pi * (step - warm) / max(total - warm, 1))) / 2

    return factor


def _refuse_false_start(recipe: Recipe, run: Path) -> None:
    made_by("index", run / INDEX)
    if recipe.weights and not recipe.weights.is_file():
        raise RecipeError(f"the recipe starts from {recipe.weights}, which does not exist")
    if (run / checkpoint.LAST).exists() and read_recipe(run / RECIPE) != recipe:
        raise RecipeError(f"{run} began with another recipe: choose a new run")


def _save(run: Path, parts: dict[str, Any], generator: torch.Generator, progress: dict[str, Any]) -> None:
    states = {name: part.state_dict() for name, part in parts.items()}
    random = {"generator": generator.get_state(), "torch": torch.get_rng_state()}
    checkpoint.save({**states, **random, "progress": progress}, run / checkpoint.LAST)


def _resume(run: Path, parts: dict[str, Any], generator: torch.Generator) -> dict[str, Any]:
    if not (run / checkpoint.LAST).exists():
        return {"epoch": 0, "best": -1.0, "stale": 0}
    state = checkpoint.load(run / checkpoint.LAST)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    generator.set_state(state["generator"])
    torch.set_rng_state(state["torch"])
    progress: dict[str, Any] = state["progress"]
    return progress


def _log(run: Path, line: dict[str, object]) -> None:
    with (run / LOG).open("a") as log:
        log.write(json.dumps(line) + "\n")
