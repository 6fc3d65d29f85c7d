from pathlib import Path

import pytest

from service.contract.card import REPORT_FILE
from training.data.index import NO_FOLD, read_index, write_index
from training.errors import OrderError
from training.index import INDEX
from training.measure import ALL
from training.perturbations import PERTURBATIONS
from training.report import Report
from training.robustness import ROBUSTNESS, Robustness, measure_robustness


def test_as_they_are_slices_have_the_reports_figures_and_every_perturbation_is_measured(
    finished: Path, pictures: Path, tmp_path: Path
) -> None:
    found = measure_robustness(pictures, finished, tmp_path / "out", resamples=100)
    assert Robustness.model_validate_json((tmp_path / "out" / ROBUSTNESS).read_bytes()) == found
    assert (found.of, found.slices, set(found.shown)) == (ALL, 10, set(PERTURBATIONS))
    report = Report.model_validate_json((finished / REPORT_FILE).read_bytes())
    before = found.shown["as it is"]
    assert before.same_label == 1
    for name in ("auroc", "sensitivity", "specificity"):
        assert before.figures[name].value == pytest.approx(report.tumor_or_not[0].figures[name].value)
    assert len({held.figures["auroc"].value for held in found.shown.values()}) > 1


def test_a_source_left_out_is_asked_alone(left_out: Path, pictures: Path) -> None:
    found = measure_robustness(pictures, left_out, left_out, resamples=100)
    assert (found.of, found.slices) == ("away", 10)


def test_slices_that_all_show_a_tumour_cannot_be_asked(left_out: Path, pictures: Path) -> None:
    rows = read_index(left_out / INDEX)
    write_index([row for row in rows if row.fold != NO_FOLD or row.label != "no_tumor"], left_out / INDEX)
    with pytest.raises(OrderError, match="tumour or not cannot be asked"):
        measure_robustness(pictures, left_out, left_out, resamples=100)
