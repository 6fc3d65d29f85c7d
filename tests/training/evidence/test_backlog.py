"""Runs of a plan of our own, made as a user makes them: by processes of `python -m training`."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from service.contract.card import REPORT_FILE
from tests.training.evidence.conftest import STUDIES
from training.__main__ import main
from training.config import Recipe
from training.evidence.backlog import Ended, work_off
from training.evidence.published import Missing
from training.history import HISTORY
from training.origin import read_origin

EMPTY = {"title": "Nothing", "runs": []}
BARE = dict.fromkeys(STUDIES, EMPTY) | {"left_out": {"title": "Nothing"}}
"""A plan that shows no run."""


@pytest.fixture
def quick(recipe: Recipe, tmp_path: Path) -> Path:
    """A recipe of one epoch."""
    path = tmp_path / "quick.yaml"
    path.write_text(recipe.model_copy(update={"stages": recipe.stages[-1:]}).model_dump_json())
    return path


def experiment(recipe: Path, *more: str) -> str:
    return " ".join(("experiment", str(recipe), "--resamples 100", *more))


def test_missing_runs_are_made_beside_each_other_and_collected(
    quick: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = {run: {"run": run, "figures": {"test.accuracy": "test"}, "command": experiment(quick, f"--set seed={seed}")}
             for seed, run in enumerate(("first", "second"))}  # fmt: skip
    broken = {"run": "third", "figures": {"test.accuracy": "test"}, "command": experiment(quick, "--set sead=1")}
    rows = [{"system": "a", "published": "1", "same": cells["first"], "honest": cells["second"]},
            {"system": "b", "published": "1", "same": broken, "honest": broken}]  # fmt: skip
    plan, kept = tmp_path / "plan.yaml", tmp_path / "kept"
    plan.write_text(yaml.safe_dump({"rows": rows} | BARE))
    kept.mkdir()
    words = ["training", "backlog", str(kept), "--data", str(pictures), "--runs", str(tmp_path / "runs"),
             "--out", str(kept), "--published", str(plan), "--at-once", "2"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert sorted(path.parent.name for path in kept.glob(f"*/{REPORT_FILE}")) == ["first", "second"]
    said = capsys.readouterr()
    assert "third failed" in said.out
    assert "1 of 3 runs failed" in said.err
    assert "sead" in (tmp_path / "runs" / "third.log").read_text()
    monkeypatch.setattr(sys, "argv", [*words, "--only", "first"])
    with pytest.raises(SystemExit):
        main()
    assert "nothing misses first" in capsys.readouterr().err


def test_a_run_that_needs_another_one_waits_for_it(quick: Path, pictures: Path, tmp_path: Path) -> None:
    """Both begin at once otherwise; and after one that fails it does not begin at all."""
    taught = experiment(quick, "--set 'distill.teachers=[RUNS/first]'")
    orphan = taught.replace("RUNS/first", "RUNS/broken")
    broken = experiment(quick, "--set sead=1")
    wanted = [Missing("first", experiment(quick)), Missing("broken", broken), Missing("second", taught)]
    assert wanted[2].needs == ["first"]
    assert "teachers=[runs/first]" in str(wanted[2])
    runs = tmp_path / "runs"
    ended = list(work_off([*wanted, Missing("orphan", orphan)], pictures, runs, tmp_path / "kept", at_once=4))
    assert {(each.run, each.state) for each in ended} == {
        ("first", "made"), ("broken", "failed"), ("second", "made"), ("orphan", "unfinished")
    }  # fmt: skip
    assert "taught by first" in read_origin(runs / "second").weights


def test_runs_end_with_the_backlog_that_began_them(recipe: Recipe, pictures: Path, tmp_path: Path) -> None:
    long = recipe.model_dump(mode="json") | {"stages": [{"size": 64, "epochs": 10_000}], "patience": 10_000}
    (tmp_path / "long.yaml").write_text(yaml.safe_dump(long))
    cell = {"run": "long", "figures": {"test.accuracy": "test"}, "command": experiment(tmp_path / "long.yaml")}
    rows = [{"system": "a", "published": "1", "same": cell, "honest": cell}]
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump({"rows": rows} | BARE))
    words = [str(tmp_path), "--data", str(pictures), "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "kept")]
    command = [sys.executable, "-m", "training", "backlog", *words, "--published", str(tmp_path / "plan.yaml")]
    history = tmp_path / "runs" / "long" / HISTORY
    with subprocess.Popen(command) as backlog:
        while not history.exists() and backlog.poll() is None:
            time.sleep(0.2)
        backlog.terminate()
        assert backlog.wait(60) != 0
    epochs = history.read_text()
    time.sleep(2)
    assert history.read_text() == epochs


def test_what_time_runs_out_for_goes_on_the_next_time(recipe: Recipe, pictures: Path, tmp_path: Path) -> None:
    long = recipe.model_dump(mode="json") | {"stages": [{"size": 64, "epochs": 10_000}], "patience": 10_000}
    (tmp_path / "long.yaml").write_text(yaml.safe_dump(long))
    wanted = [Missing(run, experiment(tmp_path / "long.yaml")) for run in ("begun", "not_begun")]
    runs, kept = tmp_path / "runs", tmp_path / "kept"

    def epochs() -> int:
        path = runs / "begun" / HISTORY
        return len(path.read_text().splitlines()) if path.exists() else 0

    seconds = 10.0
    while not epochs():
        ended = list(work_off(wanted, pictures, runs, kept, seconds=seconds))
        seconds *= 2
    assert ended == [Ended("begun", "unfinished"), Ended("not_begun", "unfinished")]
    assert not (runs / "not_begun").exists()
    before = epochs()
    list(work_off(wanted[:1], pictures, runs, kept, seconds=seconds))
    assert epochs() > before
    assert not kept.exists()
