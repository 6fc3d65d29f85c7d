import shutil
from pathlib import Path

import pytest

from tests.training.evidence.conftest import Put
from training.evidence.collect import collect
from training.evidence.joint import Weighed, theta, verdict
from training.evidence.kept import Kept
from training.evidence.published import Study
from training.evidence.summary import SUMMARY, Summary
from training.history import write_line
from training.intervals import Interval


def weighed(theta: float, test: float, val: float, dice: float, width: float = 0.05) -> Weighed:
    return Weighed(theta, Interval(value=test, low=test - width, high=test + width), val, dice)


APART = (weighed(0, test=0.85, val=0.85, dice=0.05), weighed(1, test=0.2, val=0.2, dice=0.7))


def test_what_is_lower_at_every_theta_hurts() -> None:
    said = verdict([*APART, weighed(0.25, 0.8, 0.84, 0.65), weighed(0.5, 0.84, 0.8, 0.625)])
    assert (
        "Here it hurts masks: beside masks alone the best epoch's Dice is lower at every θ between, by 0.050 to 0.075."
        in said
    )
    assert "It hurts classes: beside classes alone macro F1 is lower at every θ between, by 0.010 to 0.050" in said
    assert "each interval overlaps that of θ = 0" in said


def test_where_test_and_validation_part_neither_is_said_for_certain() -> None:
    said = verdict([*APART, weighed(0.5, 0.7, 0.9, 0.75, width=0.01)])
    assert (
        "it helps masks: beside masks alone the best epoch's Dice is higher at every θ between, by 0.050 to 0.050"
        in said
    )
    assert "It neither clearly hurts nor helps classes" in said
    assert "lower at every θ between, by 0.150 to 0.150 on test slices, where not every interval overlaps" in said
    assert "and higher at every θ between, by 0.050 to 0.050 on validation" in said


def test_a_change_of_either_sign_is_shown_with_both() -> None:
    said = verdict([*APART, weighed(0.25, 0.8, 0.8, 0.6), weighed(0.5, 0.9, 0.8, 0.6)])
    assert "macro F1 is changed by -0.050 to +0.050 on test slices" in said


@pytest.mark.parametrize(
    "runs", [(), APART, (APART[0], weighed(0.5, 0.8, 0.8, 0.6)), (weighed(0.5, 0.8, 0.8, 0.6), APART[1])]
)
def test_without_both_ends_and_something_between_nothing_is_said(runs: tuple[Weighed, ...]) -> None:
    assert verdict(runs) == ""


def test_masks_are_compared_at_the_epoch_that_is_best_for_them(
    finished: Path, put: Put, shelf: Kept, tmp_path: Path
) -> None:
    """Another epoch was chosen, by what the classes are like there."""
    for run, weight, dices in (("a", 0, (0.1,)), ("b", 0.5, (0.5, 0.6, 0.3)), ("c", 1, (0.6, 0.7, None))):
        collect(Path(shutil.copytree(finished, tmp_path / "runs" / run)), tmp_path / "kept")
        summary = Summary.model_validate_json((tmp_path / "kept" / run / SUMMARY).read_bytes())
        put(run, SUMMARY, summary.model_copy(update={"theta": weight}))
        for epoch, dice in enumerate(dices):
            write_line(tmp_path / "kept" / run, {"epoch": 2 + epoch, "val_dice": dice})
    text = theta(Study(title="Joint", runs=("a", "b", "c")), shelf)
    assert "best epoch's Dice is lower at every θ between, by 0.100 to 0.100" in text
    assert theta(Study(title="Joint", runs=("a", "b")), shelf).splitlines()[-1].startswith("| 0.5 |")
