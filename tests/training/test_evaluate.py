import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.contract.card import MODEL_FILE, REPORT_FILE
from service.contract.preprocess import preprocess
from service.contract.probabilities import probabilities
from training import evaluate as step
from training.baselines import LOGISTIC, MAJORITY
from training.calibrate import CALIBRATION
from training.checkpoint import BEST
from training.config import Recipe
from training.confusion import CONFUSION
from training.data.index import read_index, sha256_of, write_index
from training.data.phantom import draw_phantom
from training.errors import DataError, OrderError
from training.evaluate import evaluate
from training.graph import Graph
from training.index import INDEX, index
from training.measure import Predictions
from training.predictions import PREDICTIONS
from training.report import Bar, Report
from training.roc import ROC
from training.run import RECIPE, input_spec
from training.scores import Ints

ARGUMENTS = ("rows", "tumor", "figures", "of", "path")


@pytest.fixture
def report(finished: Path) -> Report:
    return Report.model_validate_json((finished / REPORT_FILE).read_bytes())


def lines_of(run: Path) -> list[dict[str, str]]:
    with (run / PREDICTIONS).open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_the_exported_graph_is_what_is_measured(finished: Path, report: Report) -> None:
    assert report.measured.engine == "ONNX Runtime CPU"
    assert report.measured.sha256 == sha256_of(finished / MODEL_FILE)


def test_accuracy_is_that_of_the_predictions_to_the_last_digit(finished: Path, report: Report) -> None:
    known = [line for line in lines_of(finished) if line["label"] != "tumor"]
    assert report.figures["accuracy"].value == sum(line["label"] == line["predicted"] for line in known) / len(known)


def test_predictions_are_what_the_service_computes_from_the_original_picture(
    finished: Path, pictures: Path, recipe: Recipe, report: Report
) -> None:
    graph = Graph(finished / MODEL_FILE)
    for line in lines_of(finished):
        with Image.open(pictures / line["path"]) as image:
            logits = graph(preprocess(image, input_spec(recipe))[None]).logits[0]
        expected = probabilities(logits, report.measured.temperature)
        assert [float(line[name]) for name in recipe.class_names] == expected.tolist()


def test_only_test_folds_count_and_unknown_tumours_count_by_source_only(report: Report) -> None:
    assert report.counts["test"] == dict.fromkeys(("glioma", "meningioma", "no_tumor", "pituitary", "tumor"), 2)
    assert report.groups["test"] == dict.fromkeys(("glioma", "meningioma", "no_tumor", "pituitary", "tumor"), 1)
    assert np.sum(report.confusion) == 8
    assert {name: figures.support for name, figures in report.per_class.items()} == dict.fromkeys(report.class_names, 2)


def test_each_source_is_asked_whether_it_shows_a_tumour(report: Report) -> None:
    asked = {source.label: source for source in report.sources}
    assert asked["no_tumor"].question == "specificity"
    assert {source.question for label, source in asked.items() if label != "no_tumor"} == {"sensitivity"}
    assert (asked["tumor"].slices, asked["tumor"].groups) == (2, 1)


def test_calibrated_and_uncalibrated_figures_and_baselines_stand_side_by_side(report: Report) -> None:
    assert {"ece", "ece_uncalibrated", "nll", "nll_uncalibrated", "auroc", "macro_f1"} <= report.figures.keys()
    assert report.baselines.keys() == {MAJORITY, LOGISTIC}
    assert report.baselines[MAJORITY].auroc.value == 0.5


def test_the_protocol_says_which_folds_did_what(report: Report) -> None:
    assert "folds 1, 2, 3 trained, fold 4 chose" in report.protocol
    assert "fold 5 tested" in report.protocol


def test_the_confusion_matrix_is_drawn(finished: Path) -> None:
    with Image.open(finished / CONFUSION) as drawn:
        assert min(drawn.size) > 400


def test_the_roc_of_tumour_or_not_is_drawn_of_the_test_folds_alone(
    finished: Path, left_out: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Image.open(finished / ROC) as drawn:
        assert min(drawn.size) > 400
    asked: dict[str, Any] = {}
    monkeypatch.setattr(step, "draw_roc", lambda *given: asked.update(zip(ARGUMENTS, given, strict=True)))
    report = evaluate(pictures, left_out, resamples=100)
    assert {row.fold for row in asked["rows"]} == {5}
    lines = [line for line in lines_of(left_out) if line["dataset"] == "drawn"]
    tumor = [1 - float(line["no_tumor"]) for line in lines]
    assert asked["tumor"] == pytest.approx(tumor, abs=1e-9)
    together = next(of for of in report.tumor_or_not if of.dataset == "all test folds")
    assert (asked["figures"], asked["path"]) == (together.figures, left_out / ROC)


def test_a_bare_checkpoint_is_measured_in_torch_and_agrees_with_the_graph(
    finished: Path, pictures: Path, tmp_path: Path, report: Report
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    for name in (MODEL_FILE, CALIBRATION):
        (run / name).unlink()
    bare = evaluate(pictures, run, resamples=100)
    assert (bare.measured.engine, bare.measured.temperature) == ("torch CPU", 1.0)
    assert bare.confusion == report.confusion
    assert bare.figures["ece"].value == pytest.approx(report.figures["ece_uncalibrated"].value, abs=1e-5)


def test_evaluating_twice_gives_the_same_report(finished: Path, pictures: Path, tmp_path: Path, report: Report) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    assert evaluate(pictures, run, resamples=100) == report


def test_a_report_is_never_there_without_its_predictions(
    finished: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    for name in (REPORT_FILE, PREDICTIONS):
        (run / name).unlink()

    class Stopped(Predictions):
        @property
        def answers(self) -> Ints:
            if (run / REPORT_FILE).exists() or list(run.glob(f".{PREDICTIONS}*")):
                raise KeyboardInterrupt
            return super().answers

    monkeypatch.setattr(step, "Predictions", Stopped)
    with pytest.raises(KeyboardInterrupt):
        evaluate(pictures, run, resamples=20)
    assert not (run / REPORT_FILE).exists()
    assert not (run / PREDICTIONS).exists()


def test_test_folds_without_a_class_are_named(finished: Path, pictures: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    rows = [row for row in read_index(run / INDEX) if (row.fold, row.label) != (5, "glioma")]
    write_index(rows, run / INDEX)
    with pytest.raises(DataError, match="hold no glioma"):
        evaluate(pictures, run, resamples=20)


def test_evaluating_before_training_is_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(OrderError, match="python -m training train"):
        evaluate(pictures, tmp_path)


@pytest.mark.parametrize(("value", "met"), [(0.939, False), (0.94, True)])
def test_a_bar_says_whether_it_is_met(value: float, met: bool) -> None:
    bar = Bar(figure="macro_f1", at_least=0.94, value=value)
    assert bar.met is met
    assert ("NOT MET" in str(bar)) is not met
    assert Bar(figure="ece", at_most=0.03, value=0.03).met


def test_a_source_left_out_counts_by_source_only(
    finished: Path, pictures: Path, recipe: Recipe, report: Report, tmp_path: Path
) -> None:
    data = shutil.copytree(pictures, tmp_path / "data")
    for seed, label in enumerate(["glioma", "no_tumor"] * 4, start=200):  # heads like no other one
        (data / "elsewhere" / label).mkdir(parents=True, exist_ok=True)
        draw_phantom(label, (90, 80), seed).save(data / "elsewhere" / label / f"{seed}.png")
    chosen = recipe.data.model_copy(update={"datasets": ("drawn", "elsewhere"), "leave_out": ("elsewhere",)})
    wider, run = recipe.model_copy(update={"data": chosen}), tmp_path / "runs" / "wider"
    index(wider, data, run)
    for name in (BEST, CALIBRATION, MODEL_FILE):
        shutil.copyfile(finished / name, run / name)
    (run / RECIPE).write_text(wider.model_dump_json())
    measured = evaluate(data, run, resamples=100, remarks=["The fold was seen before."])
    assert measured.notes[0] == "The fold was seen before."
    assert measured.figures["accuracy"].value == report.figures["accuracy"].value
    assert measured.counts["left out"] == {"glioma": 4, "no_tumor": 4}
    assert {source.dataset: source.slices for source in measured.sources} == {"drawn": 2, "elsewhere": 4}
    assert "elsewhere was left out whole" in measured.protocol
    asked = {of.dataset: (of.left_out, of.slices) for of in measured.tumor_or_not}
    assert asked == {"drawn": (False, 10), "elsewhere": (True, 8), "all test folds": (False, 10)}
