from pathlib import Path

import numpy as np
import pytest

from service.contract.card import REPORT_FILE
from service.contract.probabilities import probabilities
from training.calibrate import read_temperature
from training.config import Recipe
from training.data.slices import Slices
from training.measure import ALL
from training.mirror import MIRROR, Mirrored, measure_mirror
from training.report import Report
from training.run import load_best, load_tested
from training.validation import logits_of


def test_the_slice_alone_has_the_reports_figures_and_the_mean_its_own(
    finished: Path, pictures: Path, recipe: Recipe, tmp_path: Path
) -> None:
    found = measure_mirror(pictures, finished, tmp_path / "out", resamples=50)
    assert Mirrored.model_validate_json((tmp_path / "out" / MIRROR).read_bytes()) == found
    report = Report.model_validate_json((finished / REPORT_FILE).read_bytes())
    assert found.figures[ALL]["accuracy"].base == report.figures["accuracy"].value
    assert found.figures[ALL]["macro F1"].base == pytest.approx(report.figures["macro_f1"].value)
    seen = load_tested(recipe, pictures, finished)
    seen = seen.select(seen.known)
    network, temperature = load_best(recipe, finished), read_temperature(finished)
    both = [probabilities(logits_of(network, each, "cpu").numpy(), temperature)
            for each in (seen, Slices(seen.rows, seen.pixels[:, :, ::-1].copy(), seen.allowed))]  # fmt: skip
    right = np.mean(np.mean(both, axis=0).argmax(axis=1) == seen.targets)
    assert found.figures[ALL]["accuracy"].variant == right
    assert found.slices == {ALL: len(seen.rows)}


def test_a_source_left_out_is_asked_for_tumours(left_out: Path, pictures: Path) -> None:
    found = measure_mirror(pictures, left_out, left_out, resamples=50)
    assert {name: [*figures] for name, figures in found.figures.items()} == {
        ALL: ["accuracy", "macro F1", "ECE"], "away": ["tumour or not, AUROC"],
    }  # fmt: skip
    assert found.slices["away"] == 10
