"""The card of a new version: a run's choices and figures in the contract's words."""

from pathlib import Path

from service.contract.cam import METHODS
from service.contract.card import (
    MODEL_FILE,
    Card,
    ClassMetrics,
    Data,
    Estimate,
    Explain,
    Metrics,
    Outputs,
    Training,
)
from training.config import Recipe
from training.data.index import sha256_of
from training.explainable import explains_in
from training.export import opset_of
from training.index import INDEX
from training.intervals import Interval
from training.judge.report import ExplanationReport
from training.limitations import INTENDED_USE, limitations
from training.origin import Origin, read_origin
from training.report import Report
from training.run import input_spec
from training.variants.integers import precision_of
from training.variants.report import VariantReport, limits


def describe(
    recipe: Recipe,
    report: Report,
    judged: ExplanationReport | None,
    *,
    variant: VariantReport | None = None,
    run: Path,
    bundle: Path,
    version: int,
    change: str,
) -> Card:
    """A card that lacks only the sums of the files not written yet; its list of files holds those that are."""
    return Card(
        name=recipe.name,
        version=version,
        architecture=recipe.architecture,
        precision=precision_of(bundle / MODEL_FILE),
        class_names=recipe.class_names,
        input=input_spec(recipe),
        outputs=Outputs(embedding="embedding"),
        explain=_explain(judged, bundle) if judged else None,
        temperature=report.measured.temperature,
        files={path.name: sha256_of(path) for path in bundle.iterdir()},
        data=_data(recipe, report, run),
        metrics=_metrics(report),
        training=_training(recipe, read_origin(run), bundle),
        intended_use=INTENDED_USE,
        limitations=(*limitations(report), *limits(variant, explained=judged is not None)),
        change=change,
    )


def _explain(judged: ExplanationReport, bundle: Path) -> Explain:
    """Every layer and method, the best judged of each as the default."""
    layers = {layer: path.name for layer, path in explains_in(bundle).items()}
    methods = sorted(METHODS, key=lambda method: method != judged.method)
    return Explain(layers=layers, default_layer=judged.layer, methods=tuple(methods))


def _data(recipe: Recipe, report: Report, run: Path) -> Data:
    return Data(
        name=" + ".join(recipe.data.datasets),
        licence=recipe.data.licence,
        index_sha256=sha256_of(run / INDEX),
        split_by=recipe.data.split_by,
        counts=report.counts,
    )


def _metrics(report: Report) -> Metrics:
    chosen = {name: _estimate(report.figures[name]) for name in ("accuracy", "macro_f1", "auroc", "ece")}
    per_class = {
        name: ClassMetrics(
            precision=_estimate(figures.precision),
            recall=_estimate(figures.recall),
            f1=_estimate(figures.f1),
            support=figures.support,
        )
        for name, figures in report.per_class.items()
    }
    return Metrics(protocol=report.protocol, per_class=per_class, **chosen)


def _training(recipe: Recipe, origin: Origin, bundle: Path) -> Training:
    return Training(
        commit=origin.commit,
        recipe=recipe.model_dump(mode="json"),
        seed=recipe.seed,
        weights=origin.weights,
        versions=origin.versions,
        opset=opset_of(bundle / MODEL_FILE),
    )


def _estimate(interval: Interval) -> Estimate:
    return Estimate(value=interval.value, low=interval.low, high=interval.high)
