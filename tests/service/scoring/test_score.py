import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from service.scorecommand import run
from service.scoring.archive import Archive, File
from service.scoring.parts import cut
from service.scoring.scorer import UNREADABLE_FILE
from tests.bundles import write_bundle
from tests.pictures import draw, encode, png

ROOT = Path(__file__).resolve().parents[3]
Rows = list[dict[str, Any]]


@pytest.fixture
def archive(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eleven pictures in two folders and three files that are none, before a service of the tiny model."""
    monkeypatch.setenv("NEUROTRIAGE_MODELS", str(models))
    monkeypatch.setenv("NEUROTRIAGE_PROVIDER", "cpu")
    monkeypatch.setenv("NEUROTRIAGE_MAX_BODY_BYTES", "200000")
    root = tmp_path / "archive"
    for seed in range(11):
        place = root / ("left", "right/inner")[seed % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{seed}.png").write_bytes(png(seed))
    (root / "notes.txt").write_text("no picture")
    (root / ".empty").touch()
    (root / "large.png").write_bytes(bytes(200_001))
    return root


def score(*arguments: Path | str) -> int:
    return run([str(each) for each in arguments])


def rows(out: Path) -> Rows:
    """All rows of the Parquet files in a folder, by path."""
    found = [row for part in out.glob("*.parquet") for row in pq.read_table(part).to_pylist()]
    return sorted(found, key=lambda row: str(row["path"]))


def paths(found: Rows) -> Sequence[str]:
    return [row["path"] for row in found]


def test_every_file_gets_one_row_with_its_answer_or_its_problem(archive: Path, tmp_path: Path) -> None:
    assert score(archive, tmp_path / "out", "--part-rows", "4") == 0
    found = rows(tmp_path / "out")
    assert paths(found) == sorted(str(path.relative_to(archive)) for path in archive.rglob("*") if path.is_file())
    problems = {row["path"]: row["problem"] for row in found if row["problem"]}
    assert problems == {
        ".empty": "urn:neurotriage:problem:empty-image",
        "large.png": "urn:neurotriage:problem:body-too-large",
        "notes.txt": "urn:neurotriage:problem:not-an-image",
    }
    for row in found:
        assert (row["label"] is None) == (row["problem"] is not None) == (row["detail"] is not None)
        if row["path"] != "large.png":
            assert row["sha256"] == hashlib.sha256((archive / row["path"]).read_bytes()).hexdigest()


def test_a_row_says_what_the_service_answers(archive: Path, tmp_path: Path, client: TestClient) -> None:
    assert score(archive, tmp_path / "out") == 0
    for row in [each for each in rows(tmp_path / "out") if each["label"]]:
        answer = client.post("/predict", content=(archive / row["path"]).read_bytes()).json()
        assert row["label"] == answer["label"]
        assert row["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-5)
        assert row["tumor_probability"] == pytest.approx(answer["tumor_probability"], abs=1e-5)
        assert (row["model"], row["version"]) == (answer["model"]["name"], answer["model"]["version"])
        assert row["model_sha256"] == answer["model"]["sha256"]


def test_parts_are_cut_at_the_same_files_after_some_have_come() -> None:
    files = [File(f"{number:04}.png", 1) for number in range(0, 600, 2)]
    before = list(cut(files, 8))
    after = list(cut(sorted([*files, File("0301.png", 1)]), 8))
    assert [file for part in before for file in part] == files
    assert 15 < len(before) < 75
    assert len([part for part in after if part not in before]) <= 2
    assert list(cut(files, 1)) == [[file] for file in files]
    assert list(cut([], 8)) == []


def test_a_second_run_does_only_what_is_new_and_a_torn_part_again(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert score(archive, out, "--part-rows", "4") == 0
    torn = min(out.glob("*.parquet"))
    lost = pq.read_table(torn).num_rows
    torn.write_bytes(torn.read_bytes()[:-9])
    (archive / "new.png").write_bytes(png(99))
    capsys.readouterr()
    assert score(archive, out, "--part-rows", "4") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["files"], summary["before"]) == (15, 14 - lost)
    assert len(set(paths(rows(out)))) == len(rows(out)) == 15


def test_what_failed_by_no_fault_of_its_own_is_answered_at_a_retry_and_nothing_else(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_nearly_all(self: Archive, path: str, read: Callable[[Archive, str], bytes] = Archive.read) -> bytes:
        if path.endswith(("4.png", "5.png")):
            raise TimeoutError(110, "timed out")
        return read(self, path)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Archive, "read", read_nearly_all)
        assert score(archive, out, "--part-rows", "4") == 0
    before = {row["path"]: row for row in rows(out)}
    failed = {path for path, row in before.items() if row["problem"] == UNREADABLE_FILE}
    assert failed == {"left/4.png", "right/inner/5.png"}
    write_bundle(tmp_path / "models", "other", seed=5)
    assert score(archive, out, "--retry", "--model", "other") == 2
    assert {row["path"]: row for row in rows(out)} == before
    (archive / "left" / "2.png").unlink()  # its row stays, though it could not come again
    capsys.readouterr()
    again = (archive, out, "--part-rows", "4", "--model", "tiny")
    assert score(*again) == score(*again, "--retry") == 0
    as_ever, retried = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (as_ever["before"], as_ever["answered"]) == (14, 0)
    assert (retried["before"], retried["answered"]) == (12, 2)
    after = {row["path"]: row for row in rows(out)}
    assert len(after) == len(rows(out)) == 14
    assert {path for path, row in after.items() if row != before[path]} == failed
    assert all(after[path]["label"] for path in failed)


def test_a_killed_run_goes_on_and_every_file_has_exactly_one_row(archive: Path, tmp_path: Path) -> None:
    for seed in range(20, 140):
        (archive / f"{seed}.jpg").write_bytes(encode(draw(seed, 900, 1100), "JPEG"))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "service", "score", str(archive), str(out), "--part-rows", "2", "--threads", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not list(out.glob("part-*.parquet")):
        assert time.monotonic() < end
        time.sleep(0.002)
    first.kill()
    assert first.wait(20) == -signal.SIGKILL
    before = len(rows(out))
    assert 0 < before < 134
    done = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=100)
    assert json.loads(done.stdout)["before"] == before
    files = sorted(str(path.relative_to(archive)) for path in archive.rglob("*") if path.is_file())
    assert paths(rows(out)) == files


def test_a_bucket_is_read_and_written_by_its_address(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(archive), "/bucket/in", recursive=True)
    assert score("memory://bucket/in", "memory://bucket/out", "--part-rows", "5") == 0
    assert score("memory://bucket/in", "memory://bucket/out", "--part-rows", "5") == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["files"], first["before"], first["answered"]) == (14, 0, 11)
    assert (second["files"], second["before"], second["answered"]) == (14, 14, 0)


@pytest.mark.parametrize(
    "case",
    [
        "no folder",
        "other model",
        "inside",
        "inside by a detour",
        "inside by a link",
        "links in a circle",
        "two runs",
        "unknown model",
        "no file system",
        "no text",
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    archive: Path, tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    out = tmp_path / "out"
    assert score(archive, out) == 0
    capsys.readouterr()
    if case == "no folder":
        assert score(tmp_path / "nowhere", tmp_path / "none") == 2
        assert not (tmp_path / "none").exists()
    elif case == "other model":
        write_bundle(models, "other", seed=5)
        assert score(archive, out, "--model", "other") == 2
    elif case == "inside":
        assert score(archive, archive / "out") == 2
    elif case == "inside by a detour":
        assert score(archive, out / ".." / archive.name / "out") == 2
    elif case == "inside by a link":
        (tmp_path / "link").symlink_to(archive)
        assert score(archive, tmp_path / "link" / "out") == 2
    elif case == "links in a circle":
        (archive / "left" / "others").symlink_to(archive / "right")
        (archive / "right" / "others").symlink_to(archive / "left")
        assert score(archive, out) == 2
    elif case == "no text":
        (archive / os.fsdecode(b"Sch\xe4del.png")).write_bytes(png(1))
        assert score(archive, out) == 2
    elif case == "two runs":
        with (out / ".lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert score(archive, out) == 2
    elif case == "unknown model":
        assert score(archive, out, "--model", "unheard-of") == 2
    else:
        assert score("nonsense://bucket/in", out) == 2
    words = {
        "no folder": "is no folder",
        "other model": "rows of another model",
        "inside": "OUT lies in IN",
        "inside by a detour": "OUT lies in IN",
        "inside by a link": "OUT lies in IN",
        "links in a circle": "leads back to a folder that holds it",
        "no text": r"not UTF-8, as a row's path must be: b'" + f"{archive}/Sch\\xe4del.png'",
        "two runs": "another run writes",
        "unknown model": "No such model",
        "no file system": "nonsense",
    }
    error = capsys.readouterr().err
    assert error.startswith("score: ")
    assert words[case] in error
    assert len(rows(out)) == 14
