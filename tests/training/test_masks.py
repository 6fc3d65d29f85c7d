import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from service.contract.card import REPORT_FILE
from training import checkpoint, line
from training.config import Recipe
from training.data.index import Row, read_index
from training.data.outlines import Masks
from training.data.slices import Slices
from training.evaluate import evaluate
from training.history import chosen_line, read_history
from training.index import INDEX
from training.networks.classifier import Classifier
from training.recipefile import merge
from training.report import Report
from training.run import RECIPE
from training.train import train
from training.validation import overlaps

NETWORKS = ("unet/tu-test_efficientnet", "test_efficientnet")


@pytest.fixture(scope="module", params=NETWORKS)
def drawing(
    request: pytest.FixtureRequest,
    recipe: Recipe,
    finished: Path,
    outlined: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A run that learnt masks alone."""
    changes = {
        "architecture": request.param,
        "stages": [{"size": 64, "epochs": 3}],
        "best_by": "val_dice",
        "augment": {"mixup": 0},
        "optimizer": {"theta": 1, "average": 0, "learning_rate": 0.01, "schedule": "constant", "warmup_epochs": 0},
        "data": {"outlines": {"drawn": "outlines.json"}},
    }
    run = tmp_path_factory.mktemp("runs") / "drawing"
    run.mkdir()
    shutil.copyfile(finished / INDEX, run / INDEX)
    train(Recipe.model_validate(merge(recipe.model_dump(), changes)), outlined, run)
    return run


def test_what_is_told_of_test_folds_is_what_validation_found_at_the_best_epoch(
    drawing: Path, outlined: Path, tmp_path: Path
) -> None:
    """The folds change places, so that both speak of the same slices."""
    run = Path(shutil.copytree(drawing, tmp_path / "run"))
    swapped = {"data": {"val_folds": [5], "test_folds": [4]}}
    (run / RECIPE).write_text(json.dumps(merge(json.loads((run / RECIPE).read_text()), swapped)))
    found = evaluate(outlined, run, resamples=100).masks
    best = chosen_line(read_history(drawing))
    assert found is not None
    assert found.slices == sum(row.fold == 4 for row in read_index(run / INDEX))
    assert (found.dice.value, found.iou.value) == pytest.approx((best["val_dice"], best["val_iou"]), abs=2e-3)
    assert 0 < found.iou.low <= found.iou.value <= found.iou.high < 1
    assert found.iou.value < found.dice.value
    assert Report.model_validate_json((run / REPORT_FILE).read_bytes()).masks == found


def test_a_checkpoint_that_lacks_its_outline_head_is_measured_where_the_network_draws_by_itself(
    drawing: Path, outlined: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(drawing, tmp_path / "run"))
    state = checkpoint.load(run / checkpoint.BEST)
    checkpoint.save({name: part for name, part in state.items() if name != "outline"}, run / checkpoint.BEST)
    report = evaluate(outlined, run, resamples=20)
    draws = json.loads((run / RECIPE).read_text())["architecture"].startswith("unet/")
    assert (report.masks is not None) == draws


def test_the_command_says_how_masks_fit(
    drawing: Path, outlined: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line.evaluate(outlined, Path(shutil.copytree(drawing, tmp_path / "run")), resamples=20)
    said = capsys.readouterr().out
    assert "mask_dice" in said
    assert "mask_iou" in said


def test_a_network_that_learnt_no_masks_says_nothing_of_them_and_older_reports_load(finished: Path) -> None:
    raw = json.loads((finished / REPORT_FILE).read_text())
    assert raw.pop("masks") is None
    assert Report.model_validate(raw) == Report.model_validate_json((finished / REPORT_FILE).read_bytes())


def test_each_slice_with_an_outlined_tumour_counts_by_its_own_mask() -> None:
    """The network draws the left half of every slice; of these, one shows no tumour and one has no outline."""

    class LeftHalf(nn.Module):
        def forward(self, features: Tensor) -> Tensor:
            drawn = torch.full((len(features), 1, 64, 64), -1.0)
            drawn[..., :32] = 1
            return drawn

    rows = [Row("d", f"{i}.png", "glioma", f"g{i}", 1, 64, 64, str(i)) for i in range(4)]
    slices = Slices(rows, np.zeros((4, 64, 64), np.uint8), np.ones((4, 4), np.bool_))
    right = np.zeros((4, 64, 64), np.uint8)
    right[0, :, :32], right[2, :32], right[3] = 255, 255, 255
    masks = Masks(right, np.array([True, True, True, False]))
    found = overlaps(Classifier("test_efficientnet", 4), LeftHalf(), slices, masks, torch.device("cpu"))
    assert found.shown.tolist() == [0, 2]
    assert found.dice.tolist() == pytest.approx([1, 1 / 2])
    assert found.iou.tolist() == pytest.approx([1, 1 / 3])
