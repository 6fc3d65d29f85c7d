"""Judge a run's maps against the published tumour outlines: chosen on the validation folds, measured on the test folds.

A map is judged as the service draws it, over the network's own square input, for the class that the network answers.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from training.graph import Graph
from training.intervals import RESAMPLES, Interval
from training.judge.choice import Choice, choose
from training.judge.curves import curve_columns
from training.judge.figures import Sample, advantages, means, spread
from training.judge.maps import Cams, Heatmaps
from training.judge.measures import agreements
from training.judge.page import draw_page
from training.judge.priors import PRIORS
from training.judge.report import EXPLANATIONS, MEASURES, ExplanationReport, MapFigures, Shown
from training.judge.sanity import DEPTHS, shuffled_columns
from training.judge.shown import shown_by_answer
from training.judge.subject import Subject, read_subject
from training.judge.text import protocol
from training.judge.tumors import Tumors, count
from training.whole import write_whole

CURVE_SLICES = 96
SANITY_SLICES = 64
"""Test tumours on which the costly measures are taken."""


def judge_explanations(
    data: Path, run: Path, resamples: int = RESAMPLES, curve_slices: int = CURVE_SLICES
) -> ExplanationReport:
    """Write `<run>/explanations.json` and `explanations.png`; raises `OrderError` where a step was left out."""
    subject = read_subject(data, run)
    held_out = subject.tumors(subject.recipe.data.val_folds)
    choice = choose(agreements(subject.heatmaps(held_out, subject.cams(held_out)), held_out.inside), PRIORS)
    tested = subject.tumors(subject.recipe.data.test_folds)
    cams = subject.cams(tested)
    heatmaps = subject.heatmaps(tested, cams)
    agreed = agreements(heatmaps, tested.inside)
    samples = [
        Sample({name: each.columns(choice.thresholds[name]) for name, each in agreed.items()}, tested.rows),
        _curves(subject, tested, heatmaps, curve_slices),
        _shuffled(subject, tested, cams),
    ]
    shown = shown_by_answer(subject, tested, choice, agreed[choice.default], resamples)
    report = _report(subject, choice, samples, shown=shown, resamples=resamples)
    write_whole(run / EXPLANATIONS, report.model_dump_json(indent=2) + "\n")
    draw_page(run, subject.recipe, tested, heatmaps[choice.default], choice.default)
    return report


def _curves(subject: Subject, tumors: Tumors, heatmaps: Heatmaps, most: int) -> Sample:
    places = spread(len(tumors.rows), most)
    columns = curve_columns(Graph(subject.model), subject.temperature, heatmaps, tumors, places)
    return Sample(columns, [tumors.rows[place] for place in places])


def _shuffled(subject: Subject, tumors: Tumors, cams: Mapping[str, Cams]) -> Sample:
    few = spread(len(tumors.rows), SANITY_SLICES)
    same = {name: each[few] for name, each in cams.items()}
    columns = shuffled_columns(
        subject.model, tumors.slices.pixels[few], tumors.predicted[few], same, subject.recipe.seed
    )
    return Sample(columns, [tumors.rows[place] for place in few])


def _report(
    subject: Subject, choice: Choice, samples: Sequence[Sample], *, shown: dict[str, Shown], resamples: int
) -> ExplanationReport:
    data, seed = subject.recipe.data, subject.recipe.seed
    figures = means(samples, seed, resamples)
    better = [advantages(sample, choice.default, PRIORS, MEASURES) for sample in samples[:2]]
    method, layer = choice.default.split("/")
    whole, curves, shuffled = (len(sample.rows) for sample in samples)
    kinds = {name: _map_figures(name, choice, figures[name]) for name in figures}
    return ExplanationReport(
        files=subject.files,
        protocol=protocol(data, curves, shuffled),
        folds={"val": data.val_folds, "test": data.test_folds},
        tumors=count(samples[0].rows),
        slices={"outlines": whole, "curves": curves, "sanity": shuffled},
        resamples=resamples,
        seed=seed,
        method=method,
        layer=layer,
        maps={name: each for name, each in kinds.items() if name not in PRIORS},
        priors={name: kinds[name] for name in PRIORS},
        differences=means(better, seed, resamples),
        shown=shown,
    )


def _map_figures(name: str, choice: Choice, figures: Mapping[str, Interval]) -> MapFigures:
    sanity = {depth: figures[depth] for depth in DEPTHS if depth in figures}
    measured = {measure: interval for measure, interval in figures.items() if measure not in sanity}
    return MapFigures(threshold=choice.threshold(name), validation=choice.scores[name], sanity=sanity, **measured)
