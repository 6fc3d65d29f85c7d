"""Measure a run on its test folds, to which nothing of it was fitted.

What is measured is the exported graph in ONNX Runtime, one slice at a time, because that is what will serve: the
service's accuracy over the same slices must be the report's to the last digit. A run that is not exported yet is
measured in torch, and its report cannot be registered.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from service.contract.card import MODEL_FILE, REPORT_FILE
from service.contract.probabilities import Probabilities
from training import checkpoint, measure
from training.baselines import features, trivial
from training.calibrate import temperature_if_any
from training.config import Recipe, read_recipe
from training.confusion import CONFUSION, draw_confusion
from training.data.index import NO_FOLD, Row, read_index, sha256_of
from training.data.slices import Slices
from training.errors import DataError, made_by
from training.export import read_graph
from training.graph import Floats, Graph
from training.index import INDEX
from training.intervals import RESAMPLES
from training.masks import measure_masks
from training.measure import Predictions
from training.misclassified import draw_misclassified
from training.predictions import PREDICTIONS, write_predictions
from training.protocol import notes, protocol
from training.report import Bar, Measured, Report
from training.roc import ROC, draw_roc
from training.run import RECIPE, load_best, load_tested
from training.scores import confusion_matrix
from training.validation import logits_of
from training.whole import write_whole

LEAST_MACRO_F1 = 0.94
MOST_ECE = 0.03


def evaluate(data: Path, run: Path, resamples: int = RESAMPLES, remarks: Sequence[str] = ()) -> Report:
    """Write `report.json`, `confusion.png`, `predictions.csv` and `misclassified.png` for the recipe's test folds.

    So is `roc.png`, of tumour or not, where they hold slices of both kinds. The report comes after the predictions, so
    that whoever finds it finds both. `remarks` stand first among the report's notes: what a reader must know that the
    recipe cannot say.
    """
    recipe = read_recipe(made_by("train", run / RECIPE))
    tested = load_tested(recipe, data, run)
    measured, logits = _answer(recipe, run, tested)
    predictions = Predictions.of(tested, logits, measured.temperature, recipe.class_names)
    found = _report(recipe, data, run, measured=measured, predictions=predictions, resamples=resamples)
    masks = measure_masks(recipe, data, run, predictions.dealt().slices, resamples)
    report = found.model_copy(update={"notes": (*remarks, *found.notes), "masks": masks})
    _draw_roc(predictions, report, run / ROC)
    write_predictions(predictions, run / PREDICTIONS)
    write_whole(run / REPORT_FILE, report.model_dump_json(indent=2) + "\n")
    draw_misclassified(data, run)
    return report


def _answer(recipe: Recipe, run: Path, slices: Slices) -> tuple[Measured, Floats]:
    best = run / checkpoint.BEST
    temperature = temperature_if_any(run)
    if (run / MODEL_FILE).exists():
        graph = read_graph(run)
        measured = Measured(
            file=graph.name, sha256=sha256_of(graph), engine="ONNX Runtime CPU", temperature=temperature
        )
        return measured, Graph(graph)(slices.pixels).logits
    network = load_best(recipe, run)
    measured = Measured(file=best.name, sha256=sha256_of(best), engine="torch CPU", temperature=temperature)
    return measured, logits_of(network, slices, "cpu").numpy()


def _report(
    recipe: Recipe, data: Path, run: Path, *, measured: Measured, predictions: Predictions, resamples: int
) -> Report:
    seed, names = recipe.seed, recipe.class_names
    tested = predictions.dealt()
    known = tested.select(tested.slices.known)
    if absent := set(names) - {row.label for row in known.slices.rows}:
        raise DataError(f"the test folds of {run} hold no {', '.join(sorted(absent))}: choose others")
    figures = measure.known_figures(known, seed, resamples)
    matrix = confusion_matrix(known.answers, known.slices.targets, len(names))
    title = f"{len(known.answers)} test slices, accuracy {figures['accuracy'].value:.3f}"
    draw_confusion(matrix, names, title, run / CONFUSION)
    counted = {split: measure.count(_rows(recipe, run, folds)) for split, folds in _splits(recipe).items()}
    baselines = {name: measure.baseline(probs, known, seed, resamples)
                 for name, probs in _trivial(recipe, data, run, known).items()}  # fmt: skip
    return Report(
        measured=measured,
        protocol=protocol(recipe.data),
        notes=notes(recipe.data),
        folds=_splits(recipe),
        counts={split: slices for split, (slices, _) in counted.items()},
        groups={split: groups for split, (_, groups) in counted.items()},
        resamples=resamples,
        seed=seed,
        class_names=names,
        figures={name: interval for name, interval in figures.items() if "/" not in name},
        per_class=measure.by_class(figures, known.slices.rows, names),
        confusion=tuple(tuple(int(count) for count in row) for row in matrix),
        baselines=baselines,
        sources=measure.by_source(predictions, seed, resamples),
        tumor_or_not=measure.by_dataset(predictions, seed, resamples),
        bars=(
            Bar(figure="macro_f1", at_least=LEAST_MACRO_F1, value=figures["macro_f1"].value),
            Bar(figure="ece", at_most=MOST_ECE, value=figures["ece"].value),
        ),
    )


def _draw_roc(predictions: Predictions, report: Report, path: Path) -> None:
    """Of all test folds together, as the report has it; nothing where it has no such figures."""
    figures = next((of.figures for of in report.tumor_or_not if of.dataset == measure.ALL), None)
    if figures:
        tested = predictions.dealt()
        draw_roc(tested.slices.rows, tested.tumor, figures, measure.ALL, path)


def _trivial(recipe: Recipe, data: Path, run: Path, known: Predictions) -> dict[str, Probabilities]:
    """What the baselines, fitted on the folds that were learnt, answer to the same slices."""
    names = recipe.class_names
    seen = [row for row in _rows(recipe, run, recipe.data.learnt_folds) if row.label in names]
    targets = np.array([names.index(row.label) for row in seen])
    return trivial(features(seen, data), targets, features(known.slices.rows, data), len(names))


def _rows(recipe: Recipe, run: Path, folds: tuple[int, ...]) -> list[Row]:
    return [row for row in read_index(run / INDEX, recipe.data.datasets) if row.fold in folds]


def _splits(recipe: Recipe) -> dict[str, tuple[int, ...]]:
    held_out = {} if recipe.data.refit else {"val": recipe.data.val_folds}
    splits = {"train": recipe.data.learnt_folds, **held_out, "test": recipe.data.test_folds}
    return splits | ({"left out": (NO_FOLD,)} if recipe.data.leave_out else {})
