"""The sections of the evidence, in their order."""

from collections.abc import Callable, Iterator
from pathlib import Path

from training.evidence import folds, joint, levers, sources, studies
from training.evidence.binary import binary
from training.evidence.kept import Kept
from training.evidence.left_out import left_out
from training.evidence.published import NOT_YET, Plan, Study, comparison
from training.evidence.robustness import robustness
from training.evidence.thresholds import thresholds
from training.evidence.whole_heads import whole_heads
from training.misclassified import PUBLIC_SHEET
from training.pruning_report import PRUNING
from training.tables import section
from training.tune import BEST_TRIAL

PICTURES = "results"
"""Folder beside the page for the pictures that it draws."""


def evidence(plan: Plan, kept: Kept, page: Path) -> Iterator[str]:
    """Section by section in Markdown; pictures go beside `page`."""
    pictures = page.parent / PICTURES
    yield section("Published and measured", comparison(plan, kept))
    yield section("Learning curves", "\n\n".join(_curves(plan, kept, pictures)))
    costs = (section(study.title, studies.networks(study, kept), 3) for study in plan.networks)
    yield section("Networks and what they cost", "\n\n".join(costs))
    yield section(plan.balance.title, studies.balance(plan.balance, kept))
    yield section(plan.binary.title, binary(plan.binary, kept))
    yield section(plan.crossvalidations.title, folds.crossvalidations(plan.crossvalidations, kept))
    yield section(plan.levers.title, f"{levers.levers(plan.levers, kept)}\n\n{levers.mirrors(kept)}")
    yield section(plan.theta.title, joint.theta(plan.theta, kept))
    yield section("Pruning", _each(kept, PRUNING, lambda run: studies.pruning(run, kept, _picture(pictures, run))))
    yield section("Tuning", _each(kept, BEST_TRIAL, lambda run: studies.tuning(run, kept, page)))
    yield section(plan.shortcut.title, _by_run(plan.shortcut, kept, sources.shortcut))
    yield section(plan.robustness.title, _by_run(plan.robustness, kept, robustness))
    yield section(plan.whole_heads.title, whole_heads(plan.whole_heads, kept))
    yield section(plan.left_out.title, left_out(plan.left_out, kept))
    yield section(plan.thresholds.title, _by_run(plan.thresholds, kept, thresholds))
    yield section(plan.cross.title, sources.cross(plan.cross, kept))
    yield section("Misclassified", _misclassified(kept, page))


def _curves(plan: Plan, kept: Kept, pictures: Path) -> Iterator[str]:
    for number, study in enumerate(plan.curves, 1):
        yield section(study.title, studies.curves(study, kept, pictures / f"curves-{number}.png"), 3)


def _picture(pictures: Path, run: str) -> Path:
    return pictures / f"pruning-{run}.png"


def _each(kept: Kept, file: str, render: Callable[[str], str]) -> str:
    runs = kept.runs(file)
    return "\n\n".join(section(f"run {run}", render(run), 3) for run in runs) or NOT_YET.capitalize() + "."


def _by_run(study: Study, kept: Kept, render: Callable[[str, Kept], str]) -> str:
    each = (section(f"run {run}", render(run, kept), 3) for run in study.runs)
    return "\n\n".join((study.words, *each))


def _misclassified(kept: Kept, page: Path) -> str:
    """The runs whose sheet may be shown; the others' sheets stay in their folders."""
    words = (
        "Each run's `misclassified.png` shows its wrong answers, the surest first, with truth, answer, probability and "
        "file. Here stand those sheets that hold slices of a licence that lets others see them, and those slices alone."
    )
    each = (section(f"run {run}", sources.wrong(run, kept, page), 3) for run in kept.runs(PUBLIC_SHEET))
    return "\n\n".join((words, *each))
