"""`python -m training judge-variant`: a variant beside the version that it comes from, before it may be offered."""

from pathlib import Path

import numpy as np

from service.contract.card import CARD_FILE, InputSpec, read_card
from service.contract.probabilities import Probabilities, probabilities
from training.config import Recipe, read_recipe
from training.data.index import read_index, sha256_of
from training.data.slices import Slices, load_slices
from training.errors import made_by
from training.external import Asked, read_asked
from training.graph import Graph
from training.index import INDEX
from training.intervals import RESAMPLES, bounded, intervals
from training.measure import count
from training.paired import of_classes, paired, refuse_other_classes
from training.pruning_report import compare_times
from training.run import RECIPE
from training.variants.report import VARIANT, VariantReport, bars
from training.whole import write_whole

COMPARED = ("accuracy", "macro_f1", "ece", "nll")
TIMED = 8
"""Slices a round of timing."""


def judge_variant(data: Path, run: Path, of: Path, resamples: int = RESAMPLES) -> VariantReport:
    """Write `<run>/variant.json`: the run's graph against `of`, a registered bundle or an exported run.

    Both answer the run's test slices of known class, one at a time, each at its own size and temperature. Raises
    `DataError` where the two know other classes.
    """
    recipe = read_recipe(made_by("train", run / RECIPE))
    base, variant = read_asked(of), read_asked(run)
    refuse_other_classes(of, run, base.class_names, variant.class_names)
    seen = [_known(recipe, data, run, asked.spec) for asked in (base, variant)]
    answers = [_answers(asked, slices) for asked, slices in zip((base, variant), seen, strict=True)]
    time = compare_times(base.graph, variant.graph, seen[0].pixels[:TIMED], others=seen[1].pixels[:TIMED])
    (ours, theirs), rows = answers, seen[0].rows
    alike = ours.argmax(axis=1) == theirs.argmax(axis=1)
    figures = paired(of_classes(seen[0].targets, COMPARED), ours, theirs, rows, seed=recipe.seed, resamples=resamples)
    same = intervals(lambda chosen: {"agreement": float(alike[chosen].mean())}, rows, recipe.seed, resamples)
    report = VariantReport(
        base=_name_of(of),
        base_sha256=sha256_of(base.graph),
        sha256=sha256_of(variant.graph),
        temperature=variant.temperature,
        slices=len(rows),
        figures=figures,
        agreement=bounded(same["agreement"], sum(count(rows)[1].values())),
        furthest=float(np.abs(ours - theirs).max()),
        time=time,
        bars=bars(figures, time),
    )
    write_whole(run / VARIANT, report.model_dump_json(indent=2) + "\n")
    return report


def _known(recipe: Recipe, data: Path, run: Path, spec: InputSpec) -> Slices:
    """The run's test slices of known class, at the size that `spec` asks for."""
    rows = [row for row in read_index(made_by("index", run / INDEX), recipe.data.datasets)
            if row.fold in recipe.data.test_folds]  # fmt: skip
    tested = load_slices(rows, data, spec, recipe.class_names, run.parent / "cache")
    return tested.select(tested.known)


def _answers(asked: Asked, slices: Slices) -> Probabilities:
    return probabilities(Graph(asked.graph)(slices.pixels).logits, asked.temperature)


def _name_of(of: Path) -> str:
    """A bundle by name and version, a run by its folder."""
    if (of / CARD_FILE).exists():
        card = read_card(of.resolve())
        return f"{card.name} version {card.version}"
    return f"run {of.name}"
