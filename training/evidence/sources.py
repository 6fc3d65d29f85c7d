"""What sources give away and what crossing them costs: the shortcut, sets left out whole, and wrong answers."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from service.contract.card import REPORT_FILE
from training.data.provenance import ATTRIBUTION
from training.evidence.kept import Kept
from training.evidence.published import NOT_YET, Study
from training.intervals import Interval
from training.misclassified import PUBLIC_SHEET
from training.report import Report, Source, TumorOrNot
from training.shortcut import SHORTCUT, Shortcut, Told
from training.tables import number, table

BLANK = ""
RATES = ("auroc", "sensitivity", "specificity")
NOT_ASKED = "no such slices"
"""Of a source without a tumour, or with nothing else."""


def shortcut(run: str, kept: Kept) -> str:
    """One run's network and the baselines beside it, by what they were shown and by source."""
    found = kept.read(run, SHORTCUT, Shortcut)
    if not found:
        return NOT_YET.capitalize() + "."
    head = ["answered by", "shown", "source", "slices", "accuracy", "blind guess", "tumour or not, AUROC"]
    views = ((who, shown, of) for who, each in (("network", found.network), ("logistic regression", found.baselines))
             for shown, sources in each.items() for of in sources)  # fmt: skip
    return f"{_protocol(found)}\n\n{table(head, ([who, shown, *_told(of)] for who, shown, of in views))}"


def cross(study: Study, kept: Kept) -> str:
    """What each run answers to the sources it never saw: classes, and tumour or not."""
    head = ["run", "source left out", "slices", "accuracy, known class", "tumour or not, AUROC", "sensitivity",
            "specificity"]  # fmt: skip
    return f"{study.words}\n\n{table(head, (line for run in study.runs for line in _crossed(run, kept)))}"


def wrong(run: str, kept: Kept, page: Path) -> str:
    """How many answers were wrong and which, with the sheet of slices that may be shown."""
    report, sheet = kept.read(run, REPORT_FILE, Report), kept.path(run, PUBLIC_SHEET)
    said = [_confused(report)] if report else []
    if sheet:
        said += [f"![Misclassified slices of {run}]({os.path.relpath(sheet, page.parent)})", ATTRIBUTION]
    return "\n\n".join(said)


def _protocol(found: Shortcut) -> str:
    seen = "" if found.in_sight is None else f"; of an outlined tumour's area it shows {found.in_sight:.1%} on average"
    return (
        f"{found.protocol} The border is a frame of {found.frame:.3f} of the side, the rest black{seen}. The network "
        "was not trained on such pictures; the baselines are logistic regressions on slices of 64 pixels, fitted on "
        "the training folds."
    )


def _told(of: Told) -> Iterator[str]:
    yield of.dataset + (", left out" if of.left_out else "")
    yield str(of.slices)
    yield _or_blank(of.accuracy)
    yield BLANK if of.blind is None else f"{of.blind:.3f}"
    yield _or_blank(of.auroc)


def _or_blank(of: Interval | None) -> str:
    return number(of, 3) if of else BLANK


def _crossed(run: str, kept: Kept) -> Iterator[list[str]]:
    report, found = kept.read(run, REPORT_FILE, Report), kept.read(run, SHORTCUT, Shortcut)
    if not report:
        yield [run, NOT_YET, *[""] * 5]
        return
    told = {of.dataset: of for of in found.network["whole slice"]} if found else {}
    asked = {of.dataset: of for of in report.tumor_or_not if of.left_out}
    for dataset in sorted({*asked, *(of.dataset for of in told.values() if of.left_out)}):
        here, either = told.get(dataset), asked.get(dataset)
        slices = max(of.slices for of in (here, either) if of)
        rates = _rates(either) if either else _rates_by_label(report, dataset)
        yield [run, dataset, str(slices), _or_blank(_accuracy(report, here, either)), *rates]


def _accuracy(report: Report, here: Told | None, either: TumorOrNot | None) -> Interval | None:
    """Of classes; a network that tells a tumour from none has no others."""
    if not here and either and len(report.class_names) == 2:
        return either.figures.get("accuracy")
    return here.accuracy if here else None


def _rates(of: TumorOrNot) -> list[str]:
    return [_or_blank(of.figures.get(name)) for name in RATES]


def _rates_by_label(report: Report, dataset: str) -> list[str]:
    """Of a source that holds tumours alone or none; what cannot be asked of it says so."""
    asked = [of for of in report.sources if of.dataset == dataset]
    if not asked:
        return [BLANK] * len(RATES)
    return [_pooled([of for of in asked if of.question == name]) or NOT_ASKED for name in RATES]


def _pooled(labels: Sequence[Source]) -> str:
    """The rate over all slices, and each label's with its interval."""
    each = "; ".join(f"{of.label} {number(of.by_probability, 3)}" for of in labels)
    if len(labels) < 2:
        return each
    rate = sum(of.by_probability.value * of.slices for of in labels) / sum(of.slices for of in labels)
    return f"{rate:.3f}: {each}"


def _confused(report: Report) -> str:
    """The most frequent confusions."""
    names, matrix = report.class_names, report.confusion
    pairs = sorted(
        ((count, right, answer) for right, line in enumerate(matrix) for answer, count in enumerate(line)
         if right != answer and count), reverse=True
    )  # fmt: skip
    total, wrong = sum(map(sum, matrix)), sum(count for count, _, _ in pairs)
    most = ", ".join(f"{names[right]} → {names[answer]} {count}" for count, right, answer in pairs[:4])
    return f"{wrong} of {total} test slices of known class answered wrongly" + (f": {most}." if most else ".")
