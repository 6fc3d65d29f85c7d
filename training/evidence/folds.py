"""Cross-validations: figures over the folds, pooled over all of them, and class by class."""

from collections.abc import Iterator

from training.crossvalidate import CROSSVALIDATION, CrossValidation
from training.evidence.figures import spread
from training.evidence.kept import Kept
from training.evidence.published import NOT_YET, Study
from training.foldbaselines import BASELINES, FoldBaselines
from training.tables import number, table

OVER_FOLDS = {"accuracy": "accuracy", "macro_f1": "macro F1", "auroc": "AUROC", "ece": "ECE"}
POOLED = {"accuracy": "accuracy", "macro_f1": "macro F1"}
OF_CLASS = {"precision": "precision", "recall": "recall", "f1": "F1"}


def crossvalidations(study: Study, kept: Kept) -> str:
    """Each cross-validation's figures over its folds and pooled, then each class of all folds pooled."""
    runs = {run: kept.read(run, CROSSVALIDATION, CrossValidation) for run in study.runs}
    head = ["run", "slices", *(f"{word} over folds" for word in OVER_FOLDS.values()),
            *(f"{word}, pooled" for word in POOLED.values())]  # fmt: skip
    over = table(head, (line for run, found in runs.items() for line in ([run, *_folds(found)], *_trivial(run, kept))))
    classes = (line for run, found in runs.items() if found for line in _classes(run, found))
    pooled = table(["run", "class", *(f"{word}, pooled" for word in OF_CLASS.values())], classes)
    return f"{study.words}\n\n{over}\n\n{pooled}"


def _folds(found: CrossValidation | None) -> list[str]:
    if not found:
        return [NOT_YET, *[""] * (len(OVER_FOLDS) + len(POOLED))]
    over = (spread(found.test[name]) for name in OVER_FOLDS)
    return [str(found.slices), *over, *(number(found.pooled[name], 3) for name in POOLED)]


def _trivial(run: str, kept: Kept) -> Iterator[list[str]]:
    """What knows nothing of tumours reaches over the same folds; nothing where it was not asked."""
    if not (found := kept.read(run, BASELINES, FoldBaselines)):
        return
    for name, reached in found.baselines.items():
        pooled = (number(getattr(reached, figure), 3) for figure in POOLED)
        yield [f"{run}: {name.replace('_', ' ')}", str(found.slices), *[""] * len(OVER_FOLDS), *pooled]


def _classes(run: str, found: CrossValidation) -> Iterator[list[str]]:
    kind = next(iter(OF_CLASS))
    for name in (name.removeprefix(f"{kind}/") for name in found.pooled if name.startswith(f"{kind}/")):
        yield [run, name, *(number(found.pooled[f"{each}/{name}"], 3) for each in OF_CLASS)]
