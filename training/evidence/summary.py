"""One run in a few numbers: what was trained, from what, how long, in how much memory, and its chosen epoch."""

import statistics
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from training.batches import drawn_of
from training.config import Recipe, read_recipe
from training.data.index import read_index
from training.history import chosen_line, read_history
from training.index import INDEX
from training.origin import read_origin
from training.run import RECIPE
from training.start import bare_network

SUMMARY = "summary.json"
ABSENT = frozenset({"epoch", "size", "best", "learning_rate", "micro_batch", "peak_mb", "seconds"})
"""What a history's line holds besides figures."""


class Summary(BaseModel):
    """A run; `seconds` an epoch, median or of two the lower: `train_slices` are learnt and `val_slices` asked in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    architecture: str
    size: int
    datasets: tuple[str, ...]
    split: str
    weights: str
    commit: str
    parameters: int
    epochs: int
    chosen_epoch: int
    chosen: dict[str, float | None]
    batch_size: int
    micro_batch: int | None
    peak_mb: float | None
    seconds: float
    train_slices: int
    val_slices: int
    theta: float | None


def summarise(run: Path) -> Summary:
    """What `run`'s recipe, index, origin and history tell; raises `OrderError` where it was not trained."""
    recipe, origin, lines = read_recipe(run / RECIPE), read_origin(run), read_history(run)
    best = chosen_line(lines)
    peaks = [line["peak_mb"] for line in lines if line["peak_mb"] is not None]
    train_slices, val_slices = _count(recipe, run)
    return Summary(
        recipe=recipe.name,
        architecture=recipe.architecture,
        size=recipe.size,
        datasets=recipe.data.datasets,
        split=recipe.data.split,
        weights=origin.weights,
        commit=origin.commit,
        parameters=sum(weight.numel() for weight in bare_network(recipe).parameters()),
        epochs=len(lines),
        chosen_epoch=best["epoch"] + 1,
        chosen={name: figure for name, figure in best.items() if name not in ABSENT},
        batch_size=recipe.optimizer.batch_size,
        micro_batch=lines[-1]["micro_batch"],
        peak_mb=max(peaks, default=None),
        seconds=statistics.median_low(line["seconds"] for line in lines),
        train_slices=train_slices,
        val_slices=val_slices,
        theta=recipe.optimizer.theta,
    )


def _count(recipe: Recipe, run: Path) -> tuple[int, int]:
    rows = read_index(run / INDEX)
    learnt = [row.label for row in rows if row.fold in recipe.data.learnt_folds]
    return drawn_of(recipe, learnt), sum(row.fold in recipe.data.validated_folds for row in rows)
