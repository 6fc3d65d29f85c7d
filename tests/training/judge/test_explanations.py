import shutil
from pathlib import Path

import pytest
from PIL import Image

from service.contract.cam import METHODS
from service.contract.card import EXPLAIN_FILE, MODEL_FILE
from training.config import Recipe
from training.data.index import read_index, sha256_of
from training.data.provenance import PUBLISHABLE
from training.errors import DataError, OrderError
from training.index import INDEX
from training.judge.explanations import judge_explanations
from training.judge.page import PAGE
from training.judge.priors import PRIORS
from training.judge.report import EXPLANATIONS, MEASURES, ExplanationReport, read_judgement
from training.judge.text import judgement, protocol


@pytest.fixture
def report(judged: Path) -> ExplanationReport:
    return read_judgement(judged / EXPLANATIONS)


def test_every_method_at_every_layer_is_measured_beside_both_priors(report: ExplanationReport) -> None:
    assert set(report.maps) == {f"{method}/{layer}" for method in METHODS for layer in ("last", "finer")}
    assert set(report.priors) == set(report.differences) == set(PRIORS)
    assert all(set(differences) == set(MEASURES) for differences in report.differences.values())


def test_the_default_is_the_best_of_the_validation_folds(report: ExplanationReport) -> None:
    assert report.default == max(report.maps, key=lambda name: report.maps[name].validation)


def test_all_outlined_tumours_of_the_test_folds_are_measured_and_no_other(
    report: ExplanationReport, judged: Path
) -> None:
    tested = [row for row in read_index(judged / INDEX) if row.fold == 5 and row.label != "no_tumor"]
    assert sum(report.tumors.values()) == report.slices["outlines"] == len(tested)
    assert report.slices["curves"] == 3
    assert sum(of.slices for name, of in report.shown.items() if "true class" not in name) == len(tested)


def test_the_differences_are_the_defaults_less_the_priors(report: ExplanationReport) -> None:
    ours = report.maps[report.default]
    for prior, differences in report.differences.items():
        theirs = report.priors[prior]
        assert differences["iou"].value == pytest.approx(ours.iou.value - theirs.iou.value)
        assert differences["deletion"].value == pytest.approx(theirs.deletion.value - ours.deletion.value)


def test_the_bar_falls_with_a_single_difference_that_reaches_nought(report: ExplanationReport) -> None:
    good = {"value": 0.2, "low": 0.1, "high": 0.3}
    fields = report.model_dump() | {"differences": {prior: dict.fromkeys(MEASURES, good) for prior in PRIORS}}
    assert ExplanationReport.model_validate(fields).missed == ()
    fields["differences"][PRIORS[1]]["energy"] = {"value": 0.2, "low": 0.0, "high": 0.3}
    fallen = ExplanationReport.model_validate(fields)
    assert fallen.missed == ("energy against the brain's edge",)
    assert "NOT MET" in fallen.verdicts()[0]


def test_the_report_holds_for_these_graphs_and_is_what_is_written(report: ExplanationReport, judged: Path) -> None:
    assert read_judgement(judged / EXPLANATIONS) == report
    assert set(report.files) == {MODEL_FILE, EXPLAIN_FILE, "explain.finer.onnx"}
    assert all(sha256_of(judged / name) == digest for name, digest in report.files.items())


def test_the_words_give_every_map_and_the_verdicts(report: ExplanationReport) -> None:
    text = judgement(report)
    assert all(name in text for name in (*report.maps, *PRIORS, *report.shown, *report.verdicts()))


def test_the_words_say_that_a_refit_learnt_the_outlines_it_chooses_by(recipe: Recipe) -> None:
    refit = recipe.data.model_copy(update={"refit": True})
    assert "chosen on fold 4; oracle" in protocol(recipe.data, 3, 3)
    assert "chosen on fold 4, whose outlines were learnt; oracle" in protocol(refit, 3, 3)
    assert "of folds 1, 2, 3, 4 alone" in protocol(refit, 3, 3)


def test_only_slices_whose_licence_allows_it_are_shown(
    report: ExplanationReport, outlined: Path, judged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Image.open(judged / PAGE) as page:
        without = page.height
    monkeypatch.setitem(PUBLISHABLE, "drawn", "Drawn here.")
    judge_explanations(outlined, judged, resamples=50, curve_slices=report.slices["curves"])
    with Image.open(judged / PAGE) as page:
        assert page.height > without


def test_a_recipe_without_outlines_is_refused(outlined: Path, finished: Path) -> None:
    with pytest.raises(DataError, match="name outline files"):
        judge_explanations(outlined, finished)


def test_a_run_without_explain_graphs_is_told_which_step_makes_them(
    outlined: Path, judged: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(judged, tmp_path / "run"))
    (other / EXPLAIN_FILE).unlink()
    with pytest.raises(OrderError, match="python -m training export"):
        judge_explanations(outlined, other)
