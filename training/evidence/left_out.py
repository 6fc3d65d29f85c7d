"""What models are chosen by: what each recipe answers to sources that it never saw."""

from collections.abc import Iterator

from service.contract.card import REPORT_FILE
from training.beside import BESIDE, TEST, Beside
from training.evidence.kept import Kept
from training.evidence.published import NOT_YET, Candidate, LeftOut
from training.paired import TUMOR_AUROC
from training.report import Report, TumorOrNot
from training.tables import number, table
from training.tumor import SHOWN

GAINS = (
    "What runs have over others on the same slices, both resampled alike (`python -m training beside`; the interval "
    "knows slices, not seeds), on the source left out and on the test folds of the others:"
)
OF_CLASSES = {"macro_f1": "macro F1 gained, test folds", "nll": "negative log-likelihood added, test folds"}


def left_out(plan: LeftOut, kept: Kept) -> str:
    """Each candidate without each source, tumour or not, and the mean of its AUROCs; what some have over others."""
    head = ["candidate", "what it is", "source left out", "slices", *SHOWN.values(), "mean AUROC", "run"]
    told = f"{plan.words}\n\n{table(head, (line for each in plan.candidates for line in _sources(each, kept)))}"
    gains = [line for each in plan.candidates for line in _gains(each, kept)]
    head = ["run", "over", "source left out", "AUROC gained", *OF_CLASSES.values()]
    return f"{told}\n\n{GAINS}\n\n{table(head, gains)}" if gains else told


def mean_auroc(candidate: Candidate, kept: Kept) -> float | None:
    """Over all sources that it is left without; None while one of them was not asked."""
    found = [_answered(source, made.run, kept) for source, made in candidate.without.items()]
    values = [of.figures["auroc"].value for of in found if of]
    return sum(values) / len(values) if values and len(values) == len(found) else None


def _sources(candidate: Candidate, kept: Kept) -> Iterator[list[str]]:
    mean, words = mean_auroc(candidate, kept), candidate.words
    for source, made in candidate.without.items():
        of = _answered(source, made.run, kept)
        told = (
            [str(of.slices), *(number(of.figures[name], 3) for name in SHOWN)] if of else [NOT_YET, *[""] * len(SHOWN)]
        )
        yield [candidate.name, words, source, *told, "" if mean is None else f"{mean:.3f}", made.run]
        words = ""


def _gains(candidate: Candidate, kept: Kept) -> Iterator[list[str]]:
    for source, made in candidate.without.items():
        found = kept.read(made.run, BESIDE, Beside)
        if found and source in found.figures:
            gained = found.figures[source][TUMOR_AUROC].difference
            beside = (number(found.figures[TEST][name].difference, 4) for name in OF_CLASSES)
            yield [made.run, found.of, source, number(gained, 4), *beside]


def _answered(source: str, run: str, kept: Kept) -> TumorOrNot | None:
    report = kept.read(run, REPORT_FILE, Report)
    return next((of for of in report.tumor_or_not if of.left_out and of.dataset == source), None) if report else None
