"""`python -m training judge-explanations`: do a run's maps point at tumours?"""

from pathlib import Path
from typing import Annotated

import typer

from training.intervals import RESAMPLES
from training.judge.explanations import CURVE_SLICES
from training.judge.explanations import judge_explanations as judge
from training.judge.report import EXPLANATIONS
from training.line import say

Data = Annotated[Path, typer.Option(help="Folder with pictures as dataset/label/file, and the outlines.")]
Run = Annotated[Path, typer.Option(help="Folder of the run, exported and calibrated.")]
Resamples = Annotated[int, typer.Option(min=1000, help="Bootstrap resamples for the intervals.")]

CurveSlices = Annotated[int, typer.Option(min=2, help="Test tumours for deletion and insertion, which are slow.")]


def judge_explanations(
    data: Data, run: Run, resamples: Resamples = RESAMPLES, curve_slices: CurveSlices = CURVE_SLICES
) -> None:
    """Hold the maps against tumour outlines: <run>/explanations.json, explanations.png."""
    report = judge(data, run, resamples, curve_slices)
    say(f"judge-explanations → {run / EXPLANATIONS}")
    for name, of in (report.maps | report.priors).items():
        say(f"  {name:18} pointing {of.pointing.value:.3f}  energy {of.energy.value:.3f}  IoU {of.iou.value:.3f}  "
            f"deletion {of.deletion.value:.3f}  insertion {of.insertion.value:.3f}", markup=False)  # fmt: skip
    for verdict in report.verdicts():
        say(f"  {verdict}", markup=False)
