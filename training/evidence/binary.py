"""Networks that tell a tumour from none: what was answered to what, at the threshold that all share."""

from collections.abc import Iterator

from service.contract.card import REPORT_FILE
from service.contract.probabilities import NO_TUMOR
from training.evidence.kept import Kept
from training.evidence.published import NOT_YET, Study
from training.measure import ALL
from training.report import Report, TumorOrNot
from training.tables import number, table
from training.tumor import SHOWN, THRESHOLD

ASKED = ("tumour → tumour", "tumour → no_tumor", "no_tumor → no_tumor", "no_tumor → tumour")


def binary(study: Study, kept: Kept) -> str:
    """Each run's confusion matrix on its test folds, and on sources left out whole."""
    head = ["run", "slices of", "threshold", *ASKED, *SHOWN.values()]
    return f"{study.words}\n\n{table(head, (line for run in study.runs for line in _asked(run, kept)))}"


def counts(report: Report, dataset: str | None) -> tuple[int, int, int, int]:
    """As `ASKED` of one dataset, of the test folds by None: right and wrong answers to tumours, then to no_tumor."""
    if dataset is None:
        absent = report.class_names.index(NO_TUMOR)
        ill = 1 - absent
        matrix = report.confusion
        return matrix[ill][ill], matrix[ill][absent], matrix[absent][absent], matrix[absent][ill]
    right = dict.fromkeys(("sensitivity", "specificity"), 0)
    wrong = right.copy()
    for of in report.sources:
        if of.dataset == dataset:
            told = round(of.by_probability.value * of.slices)
            right[of.question] += told
            wrong[of.question] += of.slices - told
    return right["sensitivity"], wrong["sensitivity"], right["specificity"], wrong["specificity"]


def _asked(run: str, kept: Kept) -> Iterator[list[str]]:
    report = kept.read(run, REPORT_FILE, Report)
    if not report:
        yield [run, NOT_YET, *[""] * (1 + len(ASKED) + len(SHOWN))]
        return
    for of in report.tumor_or_not:
        if of.dataset == ALL or of.left_out:
            yield [run, *_line(report, of)]


def _line(report: Report, of: TumorOrNot) -> list[str]:
    answered = counts(report, of.dataset if of.left_out else None)
    rates = (number(of.figures[name], 3) for name in SHOWN)
    where = f"{of.dataset}, left out" if of.left_out else of.dataset
    return [where, f"{THRESHOLD:g}", *map(str, answered), *rates]
