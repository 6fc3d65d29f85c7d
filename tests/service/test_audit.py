import json
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service import audit as audit_module
from service.audit import STDOUT, Audit, RotatingFile, open_audit

FULL = Path("/dev/full")
needs_full_device = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")


class Counted:
    """How many lines were lost."""

    lost = 0

    def __call__(self) -> None:
        self.lost += 1


def opened(path: Path, counted: Counted, max_bytes: int = 10**6, backups: int = 2) -> Audit:
    audit = open_audit(path, max_bytes, backups, counted)
    assert audit
    return audit


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["n"] for line in path.read_text().splitlines()]


def test_every_line_is_kept_in_order_and_the_file_is_its_owners(tmp_path: Path) -> None:
    counted, path = Counted(), tmp_path / "audit.jsonl"
    audit = opened(path, counted)
    for n in range(500):
        audit.note(n=n)
    audit.close()
    assert numbers(path) == list(range(500))
    assert (path.stat().st_mode & 0o777, counted.lost, audit.state) == (0o600, 0, "ok")
    first = json.loads(path.read_text().splitlines()[0])
    assert (first["event"], set(first)) == ("audit", {"event", "timestamp", "n"})


def test_a_restart_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for n in range(2):
        audit = opened(tmp_path / "a", Counted())
        audit.note(n=n)
        audit.close()
    assert numbers(tmp_path / "a") == [0, 1]


def test_files_rotate_by_size_and_the_oldest_goes(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a", 10, 2)
    for n in range(7):
        file.write(b"%04d\n" % n)
    kept = {path.name: path.read_text().split() for path in tmp_path.iterdir()}
    assert kept == {"a": ["0006"], "a.1": ["0004", "0005"], "a.2": ["0002", "0003"]}


def test_a_file_that_somebody_moves_or_removes_is_begun_anew(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a", 1000, 2)
    file.write(b"1\n")
    (tmp_path / "a").rename(tmp_path / "elsewhere")
    file.write(b"2\n")
    (tmp_path / "a").unlink()
    file.write(b"3\n")
    assert ((tmp_path / "elsewhere").read_text(), (tmp_path / "a").read_text()) == ("1\n", "3\n")


def test_a_pipe_is_written_to_and_never_put_aside(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    reading = os.open(tmp_path / "a", os.O_RDONLY | os.O_NONBLOCK)
    file = RotatingFile(tmp_path / "a", 3, 2)
    for _ in range(3):
        file.write(b"1\n")
    assert (os.read(reading, 100), [path.name for path in tmp_path.iterdir()]) == (b"1\n" * 3, ["a"])


@needs_full_device
def test_a_full_disk_costs_the_line_and_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    counted = Counted()
    audit = opened(FULL, counted)
    for n in range(5):
        audit.note(n=n)
    audit.close()
    assert (counted.lost, audit.state) == (5, "failing")
    assert capsys.readouterr().out.count("audit-failing") == 1


@contextmanager
def room(size: int) -> Iterator[None]:
    """Files may grow to so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_of_a_line_that_does_not_fit_nothing_is_left_and_later_ones_are_whole(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a", 10**6, 1)
    with room(15):
        file.write(b"first line\n")
        with pytest.raises(OSError, match="fit"):
            file.write(b"second line\n")
    file.write(b"third line\n")
    assert (tmp_path / "a").read_bytes() == b"first line\nthird line\n"


def test_once_lines_are_kept_again_it_says_so() -> None:
    class Failing:
        def __init__(self) -> None:
            self.full = True
            self.kept: list[bytes] = []
            self.tried = threading.Semaphore(0)

        def write(self, line: bytes) -> None:
            try:
                if self.full:
                    raise OSError(28, os.strerror(28))
                self.kept.append(line)
            finally:
                self.tried.release()

    lines, counted = Failing(), Counted()
    audit = Audit(lines, counted)
    audit.note(n=1)
    assert lines.tried.acquire(timeout=20)
    lines.full = False
    audit.note(n=2)
    audit.close()
    assert ([json.loads(line)["n"] for line in lines.kept], counted.lost, audit.state) == ([2], 1, "ok")


def test_a_disk_that_hangs_delays_nobody_and_what_is_lost_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_module, "MOST_WAITING", 3)
    gate, entered = threading.Event(), threading.Event()

    class Hanging:
        def write(self, _: bytes) -> None:
            entered.set()
            assert gate.wait(15)

    counted = Counted()
    audit = Audit(Hanging(), counted)
    audit.note(n=0)
    assert entered.wait(15)
    for n in range(5):
        audit.note(n=n)
    assert (counted.lost, audit.state) == (2, "failing")
    gate.set()
    audit.close()


def test_a_file_that_cannot_be_opened_stops_the_start_and_none_is_asked_for_by_default(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="audit file"):
        open_audit(tmp_path / "absent" / "a", 1, 1, Counted())
    assert open_audit(None, 1, 1, Counted()) is None


def test_a_dash_is_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    audit = opened(STDOUT, Counted())
    audit.note(n=7)
    audit.close()
    assert json.loads(capsys.readouterr().out)["n"] == 7
