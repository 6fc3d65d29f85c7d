"""The laboratory's commands, as a user types them."""

import sys
from pathlib import Path

import numpy as np
import pytest

from service.contract.card import EXPLAIN_FILE, MODEL_FILE, REPORT_FILE
from training.__main__ import main
from training.config import Recipe
from training.explainable import LAST, export_explain
from training.export import export_network
from training.networks.classifier import Classifier
from training.recipefile import merge
from training.report import Report
from training.roc import ROC

SLICES = np.random.default_rng(1).integers(0, 256, (9, 64, 64), np.uint8)
TUMORS = ("glioma", "meningioma", "pituitary")


def run_line(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    """The exit code of `python -m training` with these words."""
    monkeypatch.setattr(sys, "argv", ["training", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_binary_network_is_measured_exported_and_explained(
    recipe: Recipe, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"relabel": dict.fromkeys(TUMORS, "tumor"), "shares": {"no_tumor": 1, "tumor": 1}}
    binary = {"class_names": ["no_tumor", "tumor"], "head": "sigmoid", "data": data}
    raw = recipe.model_dump()
    del raw["data"]["shares"]
    (tmp_path / "r.yaml").write_text(Recipe.model_validate(merge(raw, binary)).model_dump_json())
    place = ("--data", pictures, "--run", tmp_path / "runs/a")
    words = (tmp_path / "r.yaml", *place, "--resamples", "100", "--set", "stages=[{size: 64, epochs: 1}]")
    assert run_line(monkeypatch, "experiment", *words) == 0
    report = Report.model_validate_json((tmp_path / "runs/a" / REPORT_FILE).read_bytes())
    assert report.class_names == ("no_tumor", "tumor")
    assert np.sum(report.confusion) == 10
    assert (tmp_path / "runs/a" / ROC).exists()
    assert run_line(monkeypatch, "export", *place) == 0
    assert (tmp_path / "runs/a" / EXPLAIN_FILE).exists()


def test_a_network_that_only_tells_tumours_apart_is_measured_and_its_curves_drawn(
    recipe: Recipe, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in TUMORS:
        (tmp_path / "data" / "drawn" / label).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "drawn" / label).symlink_to(pictures / "drawn" / label)
    chosen = recipe.model_dump() | {"class_names": TUMORS, "architecture": "resnet3"}
    chosen["data"] |= {"shares": dict.fromkeys(TUMORS, 1)}
    (tmp_path / "r.yaml").write_text(Recipe.model_validate(chosen).model_dump_json())
    run = tmp_path / "runs" / "a"
    words = (tmp_path / "r.yaml", "--data", tmp_path / "data", "--run", run, "--resamples", "100")
    assert run_line(monkeypatch, "experiment", *words) == 0
    assert Report.model_validate_json((run / REPORT_FILE).read_bytes()).sources == ()
    assert not (run / ROC).exists()
    assert run_line(monkeypatch, "curves", run, run, "--out", tmp_path / "both.png") == 0
    assert (tmp_path / "both.png").exists()


@pytest.mark.parametrize(
    "architecture", ["sequential_1", "cnn9", "tuned_cnn", "resnet3", "unet/tu-test_efficientnet", "sigmoid", "cells"]
)
def test_every_network_of_ours_exports_and_explains_itself(architecture: str, tmp_path: Path) -> None:
    sigmoid, absent = architecture == "sigmoid", 2 if architecture == "cells" else None
    name = "test_efficientnet" if architecture in {"sigmoid", "cells"} else architecture
    network = Classifier(name, 2 if sigmoid else 4, size=64, dropout=0.5, sigmoid=sigmoid, absent=absent).eval()
    graph = export_network(network, tmp_path / MODEL_FILE, SLICES, origin="0" * 64)
    assert export_explain(network, graph, SLICES, 1e-4)[LAST].name == EXPLAIN_FILE
