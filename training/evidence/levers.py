"""One choice of the best recipe at a time, made otherwise; and the mirror at test time."""

from collections.abc import Iterator

from training.beside import BESIDE, TEST, VALIDATION, Beside
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
GAINS = {VALIDATION: "macro F1 gained, val", TEST: "macro F1 gained, test"}


def levers(study: Study, kept: Kept) -> str:
    """Each lever's figures at its chosen epoch, on the test fold, and over the run that it stands `beside`."""
    head = ["lever", *FIGURES.values(), *GAINS.values(), "run"]
    return f"{study.words}\n\n{table(head, (_pulled(study, run, kept) for run in study.runs))}"


def mirrors(kept: Kept) -> str:
    """What the mirror brought to each run that was asked."""
    found = (kept.read(run, MIRROR, Mirrored) for run in kept.runs(MIRROR))
    head = ["run", "slices of", "slices", "figure", "slice alone", "with its mirror image", "difference"]
    return table(head, (line for each in found if each for line in _mirrored(each)))


def _pulled(study: Study, run: str, kept: Kept) -> list[str]:
    label, values = study.labels.get(run, run), [figure(kept, run, name) for name in FIGURES]
    if not any(values):
        return [label, NOT_YET, *[""] * (len(FIGURES) + len(GAINS) - 1), run]
    found = kept.read(run, BESIDE, Beside)
    known = found.figures if found and found.of == study.beside else {}
    gains = [number(known[part]["macro_f1"].difference, 3) if part in known else "" for part in GAINS]
    return [label, *(value or "" for value in values), *gains, run]


def _mirrored(found: Mirrored) -> Iterator[list[str]]:
    for source, figures in found.figures.items():
        for name, of in figures.items():
            each = [f"{of.base:.4f}", f"{of.variant:.4f}", number(of.difference)]
            yield [found.run, source, str(found.slices[source]), name, *each]
