"""Pruned networks beside the dense one: inference time, a table and a plot."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict

from training.tables import table
from training.whole import write_whole

PRUNING = "pruning.json"
ROUNDS = 40
NO_SPEED = 0.9
"""Share of the dense network's time above which nobody would speak of speed."""


class Ratio(BaseModel):
    """Inference time over the dense network's: the median of rounds that time both in turn, and their quartiles."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    median: float
    low: float
    high: float


def compare_times(
    dense: Path,
    pruned: Path,
    slices: npt.NDArray[np.uint8],
    rounds: int = ROUNDS,
    *,
    others: npt.NDArray[np.uint8] | None = None,
) -> Ratio:
    """One slice at a time on one thread of ONNX Runtime's CPU provider; both see the same load of the machine.

    `others` are the slices at the second graph's size, where that is another one.
    """
    asked = [(_session(dense), slices), (_session(pruned), slices if others is None else others)]
    ratios = []
    for turn in range(rounds + 1):
        seconds = [_time(session, given) for session, given in asked]
        if turn:
            ratios.append(seconds[1] / seconds[0])
    low, median, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    return Ratio(median=float(median), low=float(low), high=float(high))


def write_report(levels: Sequence[Mapping[str, Any]], dense_accuracy: float, home: Path) -> None:
    """Write `pruning.json`, `pruning.md` and `pruning.png` into `home`."""
    write_whole(home / PRUNING, json.dumps({"dense_accuracy": dense_accuracy, "levels": list(levels)}, indent=2) + "\n")
    (home / "pruning.md").write_text(f"{in_words(levels, dense_accuracy)}\n")
    draw_levels(levels, dense_accuracy, home / "pruning.png")


def in_words(levels: Sequence[Mapping[str, Any]], dense_accuracy: float) -> str:
    """The table of levels in Markdown, and what they do to speed."""
    lines = [
        [
            f"{level['method']} {level['percent']} %",
            f"{level['weights']:,}",
            f"{level['zeros']:.1%}",
            f"{level['accuracy_before']:.4f}",
            _effort(level),
            f"{level['accuracy_after']:.4f}",
            f"{level['time']['median']:.2f} [{level['time']['low']:.2f}, {level['time']['high']:.2f}]",
        ]
        for level in levels
    ]
    head = ["level", "weights", "0, if cuttable", "accuracy before", "retrained", "accuracy after", "time over dense"]
    return f"The dense network's test accuracy is {dense_accuracy:.4f}.\n\n{table(head, lines)}\n\n{say_speed(levels)}"


def _effort(level: Mapping[str, Any]) -> str:
    return f"epochs {level['epochs']}, rate {level['learning_rate']:g}" if "epochs" in level else ""


def say_speed(levels: Sequence[Mapping[str, Any]]) -> str:
    """What masks and cut channels do to inference time, in the figures measured."""
    masked = [level["time"]["median"] for level in levels if level["method"] != "channels"]
    cut = [level["time"]["median"] for level in levels if level["method"] == "channels"]
    said = []
    if masked:
        verdict = "bring no speed" if min(masked) > NO_SPEED else "change the time"
        said.append(
            f"Masks alone {verdict}: a 0 is multiplied like any other number, and the masked networks take "
            f"{min(masked):.2f} to {max(masked):.2f} of the dense one's time."
        )
    if cut:
        said.append(f"Channels that are really gone leave {min(cut):.2f} to {max(cut):.2f} of the dense one's time.")
    return " ".join(said)


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _time(session: onnxruntime.InferenceSession, slices: npt.NDArray[np.uint8]) -> float:
    started = time.perf_counter()
    for each in slices:
        session.run(["logits"], {"image": np.ascontiguousarray(each[None])})
    return time.perf_counter() - started


def draw_levels(levels: Sequence[Mapping[str, Any]], dense_accuracy: float, path: Path) -> None:
    """Accuracy before and after retraining, and inference time, by what was pruned."""
    figure = Figure(figsize=(11, 4.5), dpi=110, layout="constrained")
    accuracy, speed = figure.subplots(1, 2)
    for number, method in enumerate(dict.fromkeys(level["method"] for level in levels)):
        chosen = [level for level in levels if level["method"] == method]
        percents = [level["percent"] for level in chosen]
        for name, style in (("before", "--"), ("after", "-")):
            values = [level[f"accuracy_{name}"] for level in chosen]
            accuracy.plot(percents, values, style, marker="o", color=f"C{number}", label=f"{method}, {name}")
        speed.plot(percents, [level["time"]["median"] for level in chosen], "o-", color=f"C{number}", label=method)
    accuracy.axhline(dense_accuracy, color="grey", linewidth=0.8)
    speed.axhline(1, color="grey", linewidth=0.8)
    accuracy.set(xlabel="pruned, %", title="test accuracy before and after retraining")
    speed.set(xlabel="pruned, %", title="inference time over the dense network's")
    for axes in (accuracy, speed):
        axes.legend()
        axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Software": None})
