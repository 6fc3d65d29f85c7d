"""The commands of variants: quantise or resize a run, and hold a variant against the version that it comes from."""

from pathlib import Path
from typing import Annotated

import typer

from training.intervals import RESAMPLES
from training.line import say
from training.variants import judge
from training.variants import quantize as integers
from training.variants import resize as step
from training.variants.guard import QUANTIZATION
from training.variants.report import VARIANT

Data = Annotated[Path, typer.Option(help="Folder with pictures as dataset/label/file.")]
Resamples = Annotated[int, typer.Option(min=100, help="Bootstrap resamples for the intervals.")]


def quantize(
    data: Data,
    run: Annotated[Path, typer.Option(help="An exported run.")],
    to: Annotated[Path, typer.Option(help="Folder of the variant's own run.")],
) -> None:
    """Turn a run's convolutions into 8-bit integers: a run of its own, calibrated, to be evaluated and registered."""
    found = integers.quantize(data, run, to)
    say(f"quantize → {to / QUANTIZATION}: {found.chosen}, ranges from {found.slices} training slices")
    for name, tried in found.tried.items():
        say(f"  {name:10} validation macro-F1 {tried.macro_f1:.4f}  NLL {tried.nll:.4f}  ECE {tried.ece:.4f}  "
            f"as the float graph {tried.agreement:.4f}, divergence {tried.divergence:.5f}")  # fmt: skip


def resize(
    run: Annotated[Path, typer.Option(help="A trained run.")],
    to: Annotated[Path, typer.Option(help="Folder of the variant's own run.")],
    size: Annotated[int, typer.Option(min=32, help="Side of the network's input in pixels.")],
) -> None:
    """Take a run's weights to another input size: a run of its own, to be calibrated, exported and evaluated."""
    resized = step.resize(run, to, size)
    say(f"resize → {to}: {resized.name}, trained at {resized.trained_at} px, answers at {resized.size} px")


def judge_variant(
    data: Data,
    run: Annotated[Path, typer.Option(help="The variant's run, exported or quantised, and calibrated.")],
    of: Annotated[Path, typer.Option(help="What it is a variant of: models/<name>/<version>, or a run.")],
    resamples: Resamples = RESAMPLES,
) -> None:
    """Compare accuracy, calibration and speed with what it comes from: <run>/variant.json, which register reads."""
    found = judge.judge_variant(data, run, of, resamples)
    say(f"judge-variant → {run / VARIANT}: {found.slices} test slices beside {found.base}")
    for name, of_both in found.figures.items():
        low, high = of_both.difference.low, of_both.difference.high
        say(f"  {name:10} {of_both.base:.4f} → {of_both.variant:.4f}  "
            f"{of_both.difference.value:+.4f} [{low:+.4f}, {high:+.4f}]", markup=False)  # fmt: skip
    say(f"  same label {found.agreement.value:.4f} [{found.agreement.low:.4f}, {found.agreement.high:.4f}], "
        f"furthest probability {found.furthest:.3f}", markup=False)  # fmt: skip
    say(f"  time {found.time.median:.3f} [{found.time.low:.3f}, {found.time.high:.3f}] of the base's", markup=False)
    for bar in found.bars:
        say(f"  {bar}")
