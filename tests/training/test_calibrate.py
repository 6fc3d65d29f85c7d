from pathlib import Path

import numpy as np
import pytest

from service.contract.probabilities import probabilities
from training import calibrate
from training.calibrate import CALIBRATION, Calibration, fit_temperature, measure, read_temperature
from training.errors import OrderError


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
    assert (found.nll_after or 0) < (found.nll_before or 0)
    assert (found.ece_after or 0) < 0.02 < (found.ece_before or 0)


def test_the_temperature_is_fitted_on_the_validation_folds_slices_of_known_class(finished: Path) -> None:
    found = Calibration.model_validate_json((finished / CALIBRATION).read_bytes())
    assert found.folds == (4,)
    assert found.slices == 8
    assert read_temperature(finished) == found.temperature


def test_a_temperature_of_another_checkpoint_is_refused(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "best.pt").write_bytes(b"another")
    (tmp_path / CALIBRATION).write_bytes((finished / CALIBRATION).read_bytes())
    with pytest.raises(OrderError, match="another checkpoint"):
        read_temperature(tmp_path)
