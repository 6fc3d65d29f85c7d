"""What each epoch of a run came to: a line of JSON each, and curves drawn from them."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from training.errors import OrderError

HISTORY = "history.jsonl"
CURVES = "curves.png"
KINDS = ("loss", "accuracy", "precision", "recall")

Line = dict[str, Any]


def without_nan(figures: dict[str, float]) -> Line:
    """The figures, None for what cannot be known, since JSON has no NaN."""
    return {name: None if math.isnan(figure) else figure for name, figure in figures.items()}


def write_line(run: Path, line: Line) -> None:
    """Append to `<run>/history.jsonl`, in place of a line that broke off there."""
    path = run / HISTORY
    if path.exists():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
    with path.open("a") as history:
        history.write(json.dumps(line) + "\n")


def read_history(run: Path) -> list[Line]:
    """The lines of a run, the last one of each epoch: an interruption may fall between a line and its checkpoint.

    One that breaks off, for want of room on the disk, does not count: it comes again with its epoch.
    """
    lines = [json.loads(line) for line in (run / HISTORY).read_text().splitlines(keepends=True) if line.endswith("\n")]
    return list({line["epoch"]: line for line in lines}.values())


def chosen_line(lines: Sequence[Line]) -> Line:
    """The line of the epoch that was chosen: the last one that was better than all before it.

    Raises `OrderError` where no epoch is over.
    """
    chosen = [line for line in lines if line["best"]]
    if not chosen:
        raise OrderError("no epoch of the training is over: run `python -m training train` first")
    return chosen[-1]


def draw_curves(runs: Sequence[Path], target: Path) -> Path:
    """Loss, accuracy, precision and recall an epoch, train dashed and validation solid, one colour a run."""
    figure = Figure(figsize=(11, 7), dpi=110, layout="constrained")
    for axes, kind in zip(figure.subplots(2, 2).flat, KINDS, strict=True):
        for number, run in enumerate(runs):
            lines = read_history(run)
            epochs = [line["epoch"] + 1 for line in lines]
            for split, style in (("train", "--"), ("val", "-")):
                values = [line[f"{split}_{kind}"] for line in lines]
                axes.plot(epochs, values, style, color=f"C{number}", label=f"{run.name}, {split}")
        axes.set(xlabel="epoch", title=kind)
        axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(target, metadata={"Software": None})
    return target
