import shutil
from pathlib import Path

from training.judge.report import EXPLANATIONS, read_judgement
from training.judge.text import judgement
from training.register import register
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
