from tests.training.evidence.conftest import Put, point
from training.evidence.kept import Kept
from training.evidence.robustness import MEAN, robustness
from training.measure import ALL
from training.robustness import ROBUSTNESS, Held, Robustness
from training.tumor import SHOWN


def held(value: float, same: float) -> Held:
    return Held(figures=dict.fromkeys(SHOWN, point(value)), same_label=same)


def found(of: str) -> Robustness:
    shown = {"as it is": held(1.0, 1.0), "mirrored": held(0.5, 0.75), "dim": held(0.25, 0.5)}
    return Robustness(run="some", protocol="", of=of, slices=10, shown=shown)


def test_each_perturbation_has_a_line_and_their_mean_leaves_out_the_slices_as_they_are(put: Put, shelf: Kept) -> None:
    put("some", ROBUSTNESS, found("away"))
    text = robustness("some", shelf)
    assert "10 slices, away, left out:" in text
    assert "| mirrored | 0.500 [0.500, 0.500] | " in text
    assert f"| {MEAN} | 0.375 | 0.375 | 0.375 | 0.375 | 0.625 |" in text


def test_test_folds_and_runs_that_were_not_asked_say_so(put: Put, shelf: Kept) -> None:
    put("some", ROBUSTNESS, found(ALL))
    assert "10 slices, all test folds:" in robustness("some", shelf)
    assert robustness("another", shelf).rstrip().endswith("Not run yet.")
