import shutil
from pathlib import Path

import pytest
import yaml

from service.contract.card import REPORT_FILE
from training.evidence.published import PUBLISHED
from training.intervals import Interval
from training.judge.report import EXPLANATIONS, read_judgement
from training.judge.text import judgement
from training.register import register
from training.report import Report
from training.results import results


def test_one_page_holds_every_report_below_the_folders(judged: Path, finished: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "runs" / "plain"))
    bundle = register(judged, tmp_path / "models", "To explain.", explain=True)
    results([tmp_path / "runs", tmp_path / "models"], tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text()
    assert text.index("## Classification") < text.index("### tiny, version 1") < text.index("run plain: accuracy")
    assert text.index("run plain: accuracy") < text.index("## Explanations")
    assert text.count("### tiny, version 1") == 2
    assert judgement(read_judgement(bundle / EXPLANATIONS)) in text
    assert "![Examples drawn by lot](models/tiny/1/explanations.png)" in text
    assert run.name in text


def test_folds_of_two_cross_validations_are_two(finished: Path, tmp_path: Path) -> None:
    for name in ("slices", "groups"):
        shutil.copytree(finished, tmp_path / "runs" / name / "fold-1")
    results([tmp_path / "runs"], tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text()
    assert all(f"<summary>run {name}, fold-1: accuracy" in text for name in ("slices", "groups"))


def test_of_two_runs_of_a_name_one_is_shown_throughout_and_the_other_named(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in the tables: the one in the folder named first, or higher up in it."""
    told = {"b/one": 0.25, "a/one": 0.5, "b/another": 0.125, "b/another/older/one": 0.75, "b/0/another": 0.875}
    for place, accuracy in told.items():
        home = tmp_path / place
        home.mkdir(parents=True)
        report = Report.model_validate_json((finished / REPORT_FILE).read_bytes())
        figures = report.figures | {"accuracy": Interval(value=accuracy, low=0, high=1)}
        (home / REPORT_FILE).write_text(report.model_copy(update={"figures": figures}).model_dump_json())
    plan = yaml.safe_load(PUBLISHED.read_text())
    cells = [{"run": run, "figures": {"test.accuracy": "test"}} for run in ("one", "another")]
    plan["rows"] = [{"system": "", "published": "", "same": cell, "honest": cell} for cell in cells]
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    results([tmp_path / "b", tmp_path / "a"], tmp_path / "RESULTS.md", tmp_path / "plan.yaml")
    text = (tmp_path / "RESULTS.md").read_text()
    for run, figure in (("one", "0.250"), ("another", "0.125")):
        assert f"test {figure} [" in text
        assert f"<summary>run {run}: accuracy {figure} [" in text
    said = capsys.readouterr().out
    passed = [line for line in said.splitlines() if "passed over" in line]
    assert [line.rpartition(": ")[2] for line in passed] == [
        str(tmp_path / place / REPORT_FILE) for place in ("a/one", "b/0/another", "b/another/older/one")
    ]
