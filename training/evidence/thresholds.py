"""What runs answer at other thresholds than the shared one, to sources that they never saw and to others."""

from service.contract.card import REPORT_FILE
from training.evidence.kept import Kept
from training.evidence.published import NOT_YET
from training.measure import ALL
from training.report import Report
from training.tables import table
from training.thresholds import HEAD, threshold_lines


def thresholds(run: str, kept: Kept) -> str:
    """A line a threshold, for sources left out whole and then for all test folds."""
    report = kept.read(run, REPORT_FILE, Report)
    asked = [of for of in report.tumor_or_not if of.left_out or of.dataset == ALL] if report else []
    lines = (
        [f"{of.dataset}, left out" if of.left_out else of.dataset, *line]
        for of in asked
        if of.thresholds
        for line in threshold_lines(of.thresholds)
    )
    return table(["slices of", *HEAD], lines) if any(of.thresholds for of in asked) else NOT_YET.capitalize() + "."
