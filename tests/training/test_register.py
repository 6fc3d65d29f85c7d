import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from service.contract.cam import METHODS
from service.contract.card import CARD_FILE, GOLDEN_FILE, MODEL_FILE, REPORT_FILE, read_card
from training import register as register_step
from training.data.index import sha256_of
from training.errors import OrderError, RegisterError
from training.intervals import Interval
from training.judge.page import PAGE
from training.judge.report import EXPLANATIONS, read_judgement
from training.judge.text import judgement
from training.modelcard import MODEL_CARD, render
from training.register import register, verify
from training.report import MaskFigures, Report
from training.roc import ROC
from training.run import RECIPE


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def bundle(run: Path, tmp_path: Path) -> Path:
    return register(run, tmp_path / "models", "To see it done.")


def test_a_bundle_holds_everything_and_its_card_lists_it(run: Path, bundle: Path) -> None:
    """And nothing that is for whoever trains alone."""
    card = read_card(bundle)
    assert (run / ROC).exists()
    assert bundle.parts[-2:] == ("tiny", "1")
    assert {path.name for path in bundle.iterdir()} == {*card.files, CARD_FILE}
    assert {MODEL_FILE, GOLDEN_FILE, REPORT_FILE, "confusion.png", MODEL_CARD} == set(card.files)
    assert card.explain is None
    assert all(sha256_of(bundle / name) == digest for name, digest in card.files.items())


def test_a_card_says_how_the_network_came_to_be(bundle: Path) -> None:
    card = read_card(bundle)
    assert card.change == "To see it done."
    assert (card.training.seed, card.training.weights, card.training.opset) == (7, "random", 20)
    assert card.training.recipe["architecture"] == card.architecture == "test_efficientnet"
    assert card.data.counts["test"]["glioma"] == 2
    assert any("tumours of unknown type from drawn" in sentence for sentence in card.limitations)


def test_golden_answers_are_those_of_drawn_heads(bundle: Path) -> None:
    with np.load(bundle / GOLDEN_FILE) as golden:
        assert (golden["images"].shape, golden["images"].dtype) == ((8, 64, 64), np.uint8)
        assert (golden["logits"].shape, golden["logits"].dtype) == ((8, 4), np.float32)


def test_the_model_card_shows_figures_and_says_what_it_is_not(bundle: Path) -> None:
    text = (bundle / MODEL_CARD).read_text()
    card = read_card(bundle)
    assert "never a diagnosis" in text
    assert f"| accuracy | {card.metrics.accuracy.value:.4f} [" in text
    assert all(f"* {sentence}" in text for sentence in card.limitations)


@pytest.mark.parametrize(
    ("choice", "taught"),
    [
        ({"outline_weight": 1.0}, "taught classes and tumour outlines,"),
        ({"theta": 0.5}, "taught classes and tumour outlines,"),
        ({"theta": 0.0}, "taught classes,"),
        ({}, "taught classes,"),
    ],
)
def test_the_model_card_says_what_was_taught(run: Path, tmp_path: Path, choice: dict[str, float], taught: str) -> None:
    recipe = json.loads((run / RECIPE).read_text())
    recipe["optimizer"] |= choice
    recipe["augment"]["mixup"] = 0
    recipe["data"]["outlines"] = {"drawn": "outlines.json"}
    (run / RECIPE).write_text(json.dumps(recipe))
    assert taught in (register(run, tmp_path / "models", "To tell.") / MODEL_CARD).read_text()


def test_the_model_card_says_how_masks_fit_where_they_were_measured(bundle: Path) -> None:
    report = Report.model_validate_json((bundle / REPORT_FILE).read_bytes())
    assert "Dice" not in render(read_card(bundle), report)
    dice, iou = (Interval(value=value, low=0.25, high=0.75) for value in (0.625, 0.5))
    drawn = report.model_copy(update={"masks": MaskFigures(slices=12, dice=dice, iou=iou)})
    told = "on 12 outlined test slices: mean Dice 0.6250 [0.2500, 0.7500], mean IoU 0.5000 [0.2500, 0.7500]."
    assert told in render(read_card(bundle), drawn)


@pytest.fixture
def judged_run(judged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(judged, tmp_path / "judged"))


def test_explanations_are_offered_with_what_was_found_about_them(judged_run: Path, tmp_path: Path) -> None:
    bundle = register(judged_run, tmp_path / "models", "To explain.", explain=True)
    card, found = read_card(bundle), read_judgement(bundle / EXPLANATIONS)
    assert card.explain is not None
    assert card.explain.layers == {"last": "explain.onnx", "finer": "explain.finer.onnx"}
    assert (card.explain.methods[0], card.explain.default_layer) == (found.method, found.layer)
    assert set(card.explain.methods) == set(METHODS)
    assert {*card.explain.layers.values(), EXPLANATIONS, PAGE} < set(card.files)
    assert judgement(found) in (bundle / MODEL_CARD).read_text()


def test_explanations_that_nobody_judged_are_not_offered(run: Path, tmp_path: Path) -> None:
    with pytest.raises(OrderError, match="python -m training judge-explanations"):
        register(run, tmp_path / "models", "Never.", explain=True)


def test_explanations_judged_by_another_graph_are_not_offered(judged_run: Path, tmp_path: Path) -> None:
    text = (judged_run / EXPLANATIONS).read_text()
    (judged_run / EXPLANATIONS).write_text(text.replace(sha256_of(judged_run / "explain.finer.onnx"), "0" * 64))
    with pytest.raises(RegisterError, match="run judge-explanations again"):
        register(judged_run, tmp_path / "models", "Never.", explain=True)


def test_a_version_is_never_overwritten(bundle: Path, run: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    assert register(run, tmp_path / "models", "Again.").name == "2"
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


def test_a_version_that_appears_meanwhile_is_not_touched(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register_step, "next_version", lambda _: 1)
    rival = tmp_path / "models" / "tiny" / "1"
    rival.mkdir(parents=True)
    (rival / "model.onnx").write_bytes(b"a rival's")
    with pytest.raises(RegisterError, match="never overwritten"):
        register(run, tmp_path / "models", "Too late.")
    assert (rival / "model.onnx").read_bytes() == b"a rival's"
    assert list(rival.parent.iterdir()) == [rival]


def test_a_failure_leaves_no_version_behind(run: Path, tmp_path: Path) -> None:
    (run / "confusion.png").unlink()
    with pytest.raises(OrderError):
        register(run, tmp_path / "models", "Never.")
    assert list((tmp_path / "models" / "tiny").iterdir()) == []


def test_a_report_of_another_graph_is_refused(run: Path, tmp_path: Path) -> None:
    text = (run / REPORT_FILE).read_text()
    (run / REPORT_FILE).write_text(text.replace(sha256_of(run / MODEL_FILE), "0" * 64))
    with pytest.raises(RegisterError, match="run evaluate again"):
        register(run, tmp_path / "models", "Never.")


def test_a_step_left_out_is_named(run: Path, tmp_path: Path) -> None:
    (run / REPORT_FILE).unlink()
    with pytest.raises(OrderError, match="python -m training evaluate"):
        register(run, tmp_path / "models", "Never.")


def test_a_file_changed_later_is_noticed(bundle: Path) -> None:
    verify(bundle)
    (bundle / MODEL_CARD).write_text("better than any radiologist")
    with pytest.raises(RegisterError, match="not those its card lists"):
        verify(bundle)


def test_golden_answers_of_another_network_are_noticed(bundle: Path) -> None:
    with np.load(bundle / GOLDEN_FILE) as golden:
        images, logits = golden["images"], golden["logits"]
    np.savez_compressed(bundle / GOLDEN_FILE, images=images, logits=logits + 0.1)
    card = read_card(bundle)
    files = {**card.files, GOLDEN_FILE: sha256_of(bundle / GOLDEN_FILE)}
    (bundle / CARD_FILE).write_text(card.model_copy(update={"files": files}).model_dump_json())
    with pytest.raises(RegisterError, match="golden answers"):
        verify(bundle)


def test_the_card_of_a_refit_tells_what_was_learnt_and_that_nothing_was_held_out(
    refitted: Path, tmp_path: Path
) -> None:
    home = register(refitted, tmp_path / "models", "To learn from more.")
    text = (home / "README.md").read_text()
    assert "none chose an epoch" in text
    assert "| train | 1, 2, 3, 4 |" in text
    assert "| val |" not in text
