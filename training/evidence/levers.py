"""One choice of the best recipe at a time, made otherwise; and the mirror at test time."""

from collections.abc import Iterator

from training.evidence.figures import figure
from training.evidence.kept import Kept
from training.evidence.published import NOT_YET, Study
from training.mirror import MIRROR, Mirrored
from training.tables import number, table

FIGURES = {
    "epoch.val_macro_f1": "macro F1, val",
    "epoch.val_auroc": "AUROC, val",
    "epoch.val_unknown_tumor_sensitivity": "tumours of unknown type found, val",
    "test.macro_f1": "macro F1, test",
    "test.accuracy": "accuracy, test",
}


def levers(study: Study, kept: Kept) -> str:
    """Each lever's figures at its chosen epoch, and on the test fold."""
    head = ["lever", *FIGURES.values(), "run"]
    return f"{study.words}\n\n{table(head, (_pulled(study.labels.get(run, run), run, kept) for run in study.runs))}"


def mirrors(kept: Kept) -> str:
    """What the mirror brought to each run that was asked."""
    found = (kept.read(run, MIRROR, Mirrored) for run in kept.runs(MIRROR))
    head = ["run", "slices of", "slices", "figure", "slice alone", "with its mirror image", "difference"]
    return table(head, (line for each in found if each for line in _mirrored(each)))


def _pulled(label: str, run: str, kept: Kept) -> list[str]:
    values = [figure(kept, run, name) for name in FIGURES]
    return [label, *(value or "" for value in values), run] if any(values) else [label, NOT_YET, *[""] * 4, run]


def _mirrored(found: Mirrored) -> Iterator[list[str]]:
    for source, figures in found.figures.items():
        for name, of in figures.items():
            each = [f"{of.base:.4f}", f"{of.variant:.4f}", number(of.difference)]
            yield [found.run, source, str(found.slices[source]), name, *each]
