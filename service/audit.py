"""A line for each answer given, in a file of its own: who asked, which model answered what, of which picture's hash.

Lines are written by a thread, so that a disk that is slow or full delays no answer. A line that cannot be written is
lost, and that is told three ways: `neurotriage_audit_lost_total`, an error in the log, and `audit` in `/readyz`.
"""

import json
import os
import queue
import stat
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import structlog

MOST_WAITING = 10_000
"""Lines that may wait for the disk, some 400 bytes each."""
STDOUT = Path("-")


class Lines(Protocol):
    """Where whole lines go; `write` raises `OSError` where one cannot be kept."""

    def write(self, line: bytes) -> None:
        """Keep a line, all of it or nothing."""


class RotatingFile:
    """A file that only its owner reads; at `max_bytes` it becomes `<name>.1`, `<name>.1` becomes `<name>.2` and so on.

    Where somebody else moves or removes it, a new one is begun. Raises `OSError` where it cannot be opened.
    """

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._open()

    def write(self, line: bytes) -> None:
        """Append a line; of one that the disk has no room for, nothing is left behind."""
        if not self._in_place():
            self._reopen()
        if self._regular and self._size and self._size + len(line) > self._max_bytes:
            self._put_aside()
            self._reopen()
        written = os.write(self._file, line)
        if written < len(line):
            os.ftruncate(self._file, self._size)
            raise OSError("the line did not fit")
        self._size += written

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        status = os.fstat(self._file)
        self._size, self._regular = status.st_size, stat.S_ISREG(status.st_mode)  # a device is never put aside

    def _reopen(self) -> None:
        before = self._file
        self._open()
        os.close(before)

    def _in_place(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            return False

    def _put_aside(self) -> None:
        for number in range(self._backups - 1, 0, -1):
            if (older := self._numbered(number)).exists():
                older.replace(self._numbered(number + 1))
        self._path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


class Stdout:
    """Standard output, between the log's lines."""

    def write(self, line: bytes) -> None:
        """Print a line at once."""
        sys.stdout.write(line.decode())
        sys.stdout.flush()


class Audit:
    """Takes lines and never waits; `count_lost` is called for each that could not be kept."""

    def __init__(self, lines: Lines, count_lost: Callable[[], None]) -> None:
        self._lines = lines
        self._count_lost = count_lost
        self._waiting: queue.Queue[bytes | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._write_all, name="audit", daemon=True)
        self._thread.start()
        self._failing = False

    @property
    def state(self) -> Literal["ok", "failing"]:
        """`ok`, or `failing` since a line was lost and until one is kept again."""
        return "failing" if self._failing else "ok"

    def note(self, **fields: Any) -> None:
        """Keep a line of these fields."""
        line = json.dumps({"event": "audit", "timestamp": datetime.now(UTC).isoformat(), **fields})
        try:
            self._waiting.put_nowait(line.encode() + b"\n")
        except queue.Full:
            self._lose(TimeoutError())

    def close(self, seconds: float = 5.0) -> None:
        """Write what waits, for at most so long."""
        try:
            self._waiting.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _write_all(self) -> None:
        while (line := self._waiting.get()) is not None:
            try:
                self._lines.write(line)
            except (OSError, ValueError) as error:
                self._lose(error)
            else:
                self._failing = False

    def _lose(self, error: Exception) -> None:
        self._count_lost()
        if not self._failing:
            self._failing = True
            structlog.get_logger().error("audit-failing", cause=type(error).__name__)


def open_audit(path: Path | None, max_bytes: int, backups: int, count_lost: Callable[[], None]) -> Audit | None:
    """The audit that the settings ask for; raises `ValueError` where its file cannot be opened."""
    if path is None:
        return None
    try:
        lines = Stdout() if path == STDOUT else RotatingFile(path, max_bytes, backups)
    except OSError as error:
        raise ValueError(f"the audit file {path} cannot be opened: {error.strerror}") from None
    return Audit(lines, count_lost)
