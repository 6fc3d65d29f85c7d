"""What each epoch of a run came to: a line of JSON each, and curves drawn from them."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.errors import OrderError

HISTORY = "history.jsonl"
CURVES = "curves.png"
KINDS = {
    "loss": "loss",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
    "unknown_tumor_sensitivity": "tumours of unknown type found",
    "dice": "Dice",
    "iou": "IoU",
}
"""What of a line is drawn, and the word for it."""
STYLES = {"train": "--", "val": "-"}

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
    """A panel a figure that the lines hold, train dashed and validation solid, one colour a run."""
    histories = [(run.name, read_history(run)) for run in runs]
    kinds = kinds_of([line for _, lines in histories for line in lines]) or list(KINDS)[:4]
    pairs = math.ceil(len(kinds) / 2)
    figure = Figure(figsize=(11, 3.5 * pairs + 0.5), dpi=110, layout="constrained")
    for place, kind in enumerate(kinds, 1):
        axes = figure.add_subplot(pairs, 2, place)
        for number, (name, lines) in enumerate(histories):
            _draw_kind(axes, lines, kind, f"C{number}", name)
        axes.set(xlabel="epoch", title=KINDS[kind])
        axes.grid(alpha=0.3)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(target, metadata={"Software": None})
    return target


def kinds_of(lines: Sequence[Line]) -> list[str]:
    """The figures that any of the lines knows."""
    known = {name for line in lines for name, value in line.items() if value is not None}
    return [kind for kind in KINDS if any(f"{split}_{kind}" in known for split in STYLES)]


def _draw_kind(axes: Axes, lines: Sequence[Line], kind: str, color: str, name: str) -> None:
    epochs = [line["epoch"] + 1 for line in lines]
    for split, style in STYLES.items():
        values = [math.nan if (value := line.get(f"{split}_{kind}")) is None else value for line in lines]
        if not all(map(math.isnan, values)):
            axes.plot(epochs, values, style, color=color, label=f"{name}, {split}")
