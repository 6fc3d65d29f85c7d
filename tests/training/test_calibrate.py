import shutil
from pathlib import Path

import numpy as np
import pytest

from service.contract.probabilities import probabilities
from training import calibrate, line
from training.calibrate import CALIBRATION, Calibration, fit_temperature, measure, read_temperature
from training.config import read_recipe
from training.errors import OrderError
from training.run import RECIPE


def drawn(temperature: float) -> tuple[calibrate.Logits, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Logits, and answers drawn from their softmax at `temperature`."""
    draws = np.random.default_rng(5)
    logits = draws.normal(scale=3, size=(20_000, 4)).astype(np.float32)
    edges = probabilities(logits, temperature).cumsum(axis=1)
    return logits, (draws.random((len(logits), 1)) > edges).sum(axis=1).clip(max=3)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    logits, targets = drawn(temperature)
    assert fit_temperature(logits, targets) == pytest.approx(temperature, rel=0.04)


def test_calibration_lowers_likelihood_loss_and_calibration_error() -> None:
    found = measure(*drawn(2.5), folds=(4,), digest="0" * 64)
    assert found.nll_before
    assert found.nll_after
    assert found.ece_before
    assert found.ece_after
    assert found.nll_after < found.nll_before
    assert found.ece_after < 0.02 < found.ece_before


def test_the_temperature_is_fitted_on_the_validation_folds_slices_of_known_class(finished: Path) -> None:
    found = Calibration.model_validate_json((finished / CALIBRATION).read_bytes())
    assert found.folds == (4,)
    assert found.slices == 8
    assert read_temperature(finished) == found.temperature


def test_a_refit_takes_the_temperature_of_the_run_that_held_its_slices_out(refitted: Path, finished: Path) -> None:
    ours, theirs = (Calibration.model_validate_json((run / CALIBRATION).read_bytes()) for run in (refitted, finished))
    assert read_temperature(refitted) == theirs.temperature
    assert (ours.folds, ours.slices, ours.temperature_of) == ((4,), 8, finished.name)
    assert ours.checkpoint_sha256 != theirs.checkpoint_sha256


def test_a_refit_without_such_a_run_is_not_calibrated_and_says_so(
    refitted: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(refitted, tmp_path / "runs" / "again"))
    recipe = read_recipe(run / RECIPE).model_copy(update={"temperature_of": None})
    (run / RECIPE).write_text(recipe.model_dump_json())
    line.calibrate(pictures, run)
    found = Calibration.model_validate_json((run / CALIBRATION).read_bytes())
    assert "temperature 1.0000, fitted to nothing" in capsys.readouterr().out
    assert (found.temperature, found.folds, found.slices, found.nll_after) == (1, (), 0, None)


def test_a_temperature_of_another_checkpoint_is_refused(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "best.pt").write_bytes(b"another")
    (tmp_path / CALIBRATION).write_bytes((finished / CALIBRATION).read_bytes())
    with pytest.raises(OrderError, match="another checkpoint"):
        read_temperature(tmp_path)
