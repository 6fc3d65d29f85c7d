"""Classes and masks learnt jointly or apart: figures by θ, and what they say of what was published."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from service.contract.card import REPORT_FILE
from training.evidence.figures import DIGITS, figure
from training.evidence.kept import Kept
from training.evidence.published import NOT_YET, Study
from training.evidence.summary import SUMMARY, Summary
from training.history import HISTORY, read_history
from training.intervals import Interval
from training.report import Report
from training.tables import table

BLANK = ""
FIGURES = {
    "test.macro_f1": "macro F1, test",
    "test.auroc": "AUROC, test",
    "epoch.val_macro_f1": "macro F1, val",
    "epoch.val_auroc": "AUROC, val",
    "epoch.val_dice": "Dice, val",
    "epoch.val_iou": "IoU, val",
}


class Weighed(NamedTuple):
    """What a run of a known θ reached; `dice` at its best epoch for that, since θ = 1 is chosen by it."""

    theta: float
    test: Interval
    val: float
    dice: float


def theta(study: Study, kept: Kept) -> str:
    """Class and mask figures by θ, and in a sentence what learning both together does to each."""
    lines = table(["θ", *FIGURES.values(), "run"], ([*_line(run, kept)] for run in study.runs))
    found = [each for run in study.runs if (each := _weighed(run, kept))]
    return "\n\n".join(part for part in (study.words, lines, verdict(found)) if part)


def verdict(runs: Sequence[Weighed]) -> str:
    """Whether joint training hurts both, as was published; nothing where one of both ends is not there."""
    by_theta = {run.theta: run for run in runs}
    joint = [run for run in runs if 0 < run.theta < 1]
    if not ({0, 1} <= set(by_theta) and joint):
        return ""
    alone, masks = by_theta[0], by_theta[1]
    dice = [run.dice - masks.dice for run in joint]
    test = [run.test.value - alone.test.value for run in joint]
    val = [run.val - alone.val for run in joint]
    overlap = all(run.test.high >= alone.test.low and run.test.low <= alone.test.high for run in joint)
    return (
        "Published: joint training hurts both. "
        f"Here it {_effect(dice)} masks: beside masks alone the best epoch's Dice is {_moved(dice)}. "
        f"It {_effect(test, val)} classes: beside classes alone macro F1 is {_moved(test)} on test slices, where "
        f"{'each interval overlaps' if overlap else 'not every interval overlaps'} that of θ = 0, and {_moved(val)} on "
        "validation."
    )


def _effect(*changes: Sequence[float]) -> str:
    """A verb that all the changes bear out."""
    every = [change for each in changes for change in each]
    if max(every) < 0:
        return "hurts"
    return "helps" if min(every) > 0 else "neither clearly hurts nor helps"


def _moved(changes: Sequence[float]) -> str:
    low, high = sorted((min(changes), max(changes)), key=abs)
    if max(changes) < 0 or min(changes) > 0:
        word = "lower" if high < 0 else "higher"
        return f"{word} at every θ between, by {abs(low):.{DIGITS}f} to {abs(high):.{DIGITS}f}"
    return f"changed by {min(changes):+.{DIGITS}f} to {max(changes):+.{DIGITS}f}"


def _weighed(run: str, kept: Kept) -> Weighed | None:
    summary, report = kept.read(run, SUMMARY, Summary), kept.read(run, REPORT_FILE, Report)
    path = kept.path(run, HISTORY)
    if not (summary and report and path) or summary.theta is None:
        return None
    val, dices = summary.chosen.get("val_macro_f1"), [line.get("val_dice") for line in read_history(path.parent)]
    known = [dice for dice in dices if dice is not None]
    return None if val is None or not known else Weighed(summary.theta, report.figures["macro_f1"], val, max(known))


def _line(run: str, kept: Kept) -> Iterator[str]:
    found = kept.read(run, SUMMARY, Summary)
    yield f"{found.theta:g}" if found and found.theta is not None else run.rpartition("_")[2]
    yield from (figure(kept, run, name) or (NOT_YET if name == next(iter(FIGURES)) else BLANK) for name in FIGURES)
    yield run
