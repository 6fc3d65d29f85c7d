"""A run's figure by its name, as text: `test.accuracy`, `epoch.val_accuracy`, `folds.val_loss` and others.

* test.NAME: of the report, with its interval
* classes.NAME: the range of a per-class figure over the classes
* epoch.NAME: of the validation, at the chosen epoch
* folds.NAME, pooled.NAME: of a cross-validation: mean ± standard deviation; pooled over folds, with its interval
* left_out.DATASET.NAME: tumour or not, on a source left out whole
* external.FOLDER.NAME: tumour or not, on a folder from elsewhere
* pruned.METHOD.NAME: a pruning's levels that there are, one after another, each after its percentage
* trial.NAME: of the best trial of a search
"""

from collections.abc import Callable

from service.contract.card import REPORT_FILE
from training.crossvalidate import CROSSVALIDATION, CrossValidation, Spread
from training.errors import RecipeError
from training.evidence.kept import Kept
from training.evidence.summary import SUMMARY, Summary
from training.external import EXTERNAL, External
from training.intervals import Interval
from training.pruning_report import PRUNING
from training.report import Report
from training.tables import number
from training.tune import BEST_TRIAL

DIGITS = 3


def figure(kept: Kept, run: str, name: str) -> str | None:
    """The figure as text; None where the run has none. Raises `RecipeError` for a name that means nothing."""
    kind, _, rest = name.partition(".")
    if kind not in READERS:
        raise RecipeError(f"{name} is no figure: it begins with one of {', '.join(READERS)}")
    try:
        return READERS[kind](kept, run, rest)
    except (KeyError, AttributeError):
        raise RecipeError(f"{name} is no figure: of {run} there is none that is called so") from None


def spread(of: Spread) -> str:
    """Mean ± standard deviation."""
    return f"{of.mean:.{DIGITS}f} ± {of.sd:.{DIGITS}f}"


def _interval(found: Interval | None) -> str | None:
    return number(found, DIGITS) if found else None


def _test(kept: Kept, run: str, name: str) -> str | None:
    report = kept.read(run, REPORT_FILE, Report)
    return _interval(report.figures.get(name)) if report else None


def _classes(kept: Kept, run: str, name: str) -> str | None:
    report = kept.read(run, REPORT_FILE, Report)
    if not report:
        return None
    values = [getattr(each, name).value for each in report.per_class.values()]
    return f"{min(values):.{DIGITS}f} to {max(values):.{DIGITS}f}"


def _epoch(kept: Kept, run: str, name: str) -> str | None:
    summary = kept.read(run, SUMMARY, Summary)
    value = summary.chosen.get(name) if summary else None
    return None if value is None else f"{value:.{DIGITS}f}"


def _folds(kept: Kept, run: str, name: str) -> str | None:
    found = kept.read(run, CROSSVALIDATION, CrossValidation)
    return spread((found.test | found.chosen_epoch)[name]) if found else None


def _pooled(kept: Kept, run: str, name: str) -> str | None:
    found = kept.read(run, CROSSVALIDATION, CrossValidation)
    return _interval(found.pooled[name]) if found else None


def _left_out(kept: Kept, run: str, name: str) -> str | None:
    dataset, _, kind = name.rpartition(".")
    report = kept.read(run, REPORT_FILE, Report)
    chosen = [of for of in report.tumor_or_not if of.left_out and of.dataset == dataset] if report else []
    return _interval(chosen[0].figures[kind]) if chosen else None


def _external(kept: Kept, run: str, name: str) -> str | None:
    folder, _, kind = name.rpartition(".")
    found = kept.read(run, EXTERNAL.format(folder), External)
    return _interval(found.figures[kind]) if found else None


def _pruned(kept: Kept, run: str, name: str) -> str | None:
    method, _, kind = name.partition(".")
    levels = kept.raw(run, PRUNING).get("levels", [])
    values = [f"{level['percent']} %: {level[kind]:.{DIGITS}f}" for level in levels if level["method"] == method]
    return " / ".join(values) or None


def _trial(kept: Kept, run: str, name: str) -> str | None:
    value = kept.raw(run, BEST_TRIAL).get(name)
    return None if value is None else f"{value:.{DIGITS}f}"


READERS: dict[str, Callable[[Kept, str, str], str | None]] = {
    "test": _test,
    "classes": _classes,
    "epoch": _epoch,
    "folds": _folds,
    "pooled": _pooled,
    "left_out": _left_out,
    "external": _external,
    "pruned": _pruned,
    "trial": _trial,
}
