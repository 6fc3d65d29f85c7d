import os
import subprocess
from pathlib import Path

import pytest

from training import origin
from training.errors import OrderError
from training.origin import commit, read_origin, write_origin


def test_what_trained_a_run_is_written_down(tmp_path: Path) -> None:
    write_origin(tmp_path, "random")
    found = read_origin(tmp_path)
    assert found.weights == "random"
    assert {"python", "torch", "onnxruntime"} <= set(found.versions)


def test_results_of_other_runs_do_not_mark_the_commit_and_code_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin, "ROOT", tmp_path)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)  # a hook's, which speak of the repository that it runs in
    for folder in ("training/results", "service/contract"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "training" / "train.py").write_text("steps = 1")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    for words in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "Begin")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)  # noqa: S607 - git, wherever it is
    clean = commit()
    assert len(clean) == 40
    (tmp_path / "training" / "results" / "report.json").write_text("{}")
    (tmp_path / "training" / "RESULTS.md").write_text("# Results")
    assert commit() == clean
    (tmp_path / "training" / "train.py").write_text("steps = 2")
    assert commit() == f"{clean}-uncommitted"


def test_a_run_that_was_never_trained_has_no_origin(tmp_path: Path) -> None:
    with pytest.raises(OrderError):
        read_origin(tmp_path)
