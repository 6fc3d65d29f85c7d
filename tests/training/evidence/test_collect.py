import shutil
from pathlib import Path

import pytest

from service.contract.card import REPORT_FILE
from training.config import read_recipe
from training.errors import OrderError
from training.evidence import command
from training.evidence.collect import collect
from training.evidence.summary import SUMMARY, Summary
from training.history import HISTORY, read_history
from training.run import RECIPE, load_best
from training.train import BALANCE


def test_only_small_files_are_copied_and_the_run_is_summed_up(finished: Path, tmp_path: Path) -> None:
    collect(finished, tmp_path / "results")
    home = tmp_path / "results" / finished.name
    assert {path.name for path in home.iterdir()} == {REPORT_FILE, HISTORY, BALANCE, SUMMARY}
    found = Summary.model_validate_json((home / SUMMARY).read_bytes())
    network = load_best(read_recipe(finished / RECIPE), finished)
    assert found.parameters == sum(weight.numel() for weight in network.parameters())
    lines = read_history(finished)
    assert found.epochs == len(lines) == 2
    assert found.chosen["val_accuracy"] == lines[found.chosen_epoch - 1]["val_accuracy"]
    assert (found.train_slices, found.val_slices, found.weights) == (16, 10, "random")


def test_prunings_trials_and_folds_are_found_where_they_lie(finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "runs" / "pruned"))
    (run / "prune").mkdir()
    for name in ("prune/pruning.json", "best_trial.json", "external-there.json", "crossvalidation.json"):
        (run / name).write_text("{}")
    (run / "misclassified.png").write_text("not to be shown")
    kept = {path.name for path in collect(run, tmp_path / "results")}
    assert {"pruning.json", "best_trial.json", "external-there.json", "crossvalidation.json"} < kept
    assert "misclassified.png" not in kept


def test_a_cross_validation_is_summed_up_by_its_first_fold(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "cv" / "fold-1")
    (tmp_path / "cv" / "crossvalidation.json").write_text("{}")
    assert [path.name for path in collect(tmp_path / "cv", tmp_path / "results")] == ["crossvalidation.json", SUMMARY]


def test_of_a_short_run_its_costs_alone_are_kept(finished: Path, tmp_path: Path) -> None:
    assert [path.name for path in collect(finished, tmp_path / "results", costs=True)] == [SUMMARY]
    assert [path.name for path in (tmp_path / "results" / finished.name).iterdir()] == [SUMMARY]


def test_a_training_that_was_not_measured_is_no_result(finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "runs" / "tiny"))
    (run / REPORT_FILE).unlink()
    with pytest.raises(OrderError, match="not measured"):
        collect(run, tmp_path / "results")
    assert [path.name for path in collect(run, tmp_path / "results", costs=True)] == [SUMMARY]


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OrderError, match="no results"):
        collect(tmp_path, tmp_path / "results")


def test_two_runs_of_one_name_are_not_mixed(tmp_path: Path) -> None:
    runs = [tmp_path / each / "tiny" for each in ("a", "b")]
    for run in runs:
        run.mkdir(parents=True)
    with pytest.raises(OrderError, match="named tiny"):
        command.collect(runs, tmp_path / "results")
    assert not (tmp_path / "results").exists()
