from service.contract.card import REPORT_FILE
from tests.training.evidence.conftest import Put, away, point
from training.evidence.kept import Kept
from training.evidence.thresholds import thresholds
from training.measure import ALL
from training.report import AtThreshold, OwnThreshold, Report, Thresholds


def at(sensitivity: float) -> Thresholds:
    own = OwnThreshold(aim=0.95, groups=7, threshold=point(0.8), sensitivity=point(0.9), specificity=point(0.7))
    each = AtThreshold(threshold=0.9, sensitivity=point(sensitivity), specificity=point(0.6))
    return Thresholds(points=(each,), own=own)


def test_sources_left_out_and_the_test_folds_have_a_line_a_threshold(put: Put, shelf: Kept, report: Report) -> None:
    asked = (
        away("away").model_copy(update={"thresholds": at(0.25)}),
        away("here", left_out=False).model_copy(update={"thresholds": at(0.5)}),
        away(ALL, left_out=False).model_copy(update={"thresholds": at(0.75)}),
    )
    put("some", REPORT_FILE, report.model_copy(update={"tumor_or_not": asked}))
    text = thresholds("some", shelf)
    assert "| away, left out | 0.9 | 0.250 [0.250, 0.250] | 0.600 [0.600, 0.600] |" in text
    assert "| away, left out | one's own, chosen on 7 groups: 0.80 [0.80, 0.80] | 0.900 " in text
    assert f"| {ALL} | 0.9 | 0.750 " in text
    assert "| here" not in text


def test_reports_without_thresholds_and_runs_without_a_report_say_so(put: Put, shelf: Kept, report: Report) -> None:
    put("old", REPORT_FILE, report.model_copy(update={"tumor_or_not": (away("away"),)}))
    assert thresholds("old", shelf) == thresholds("another", shelf) == "Not run yet."
