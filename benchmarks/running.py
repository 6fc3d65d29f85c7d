"""Start a server, wait until it answers rightly, count what its processes use, stop it."""

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import PORT, WORK, Server
from benchmarks.slices import CONTENT_TYPES

PATIENCE = 120
"""Seconds that a server may take to start."""
TICKS = os.sysconf("SC_CLK_TCK")


class DidNotStart(RuntimeError):
    """A server that ended, or was not ready in time; the text is the end of its log."""


@dataclass(frozen=True)
class Running:
    """A server that answers, and how long it took from start to ready."""

    server: Server
    process: subprocess.Popen[bytes]
    start_seconds: float

    def cpu_seconds(self) -> float:
        """Processor time of all its processes so far."""
        return sum(_cpu_seconds(pid) for pid in _family(self.process.pid))

    def rss_bytes(self) -> int:
        """Memory that all its processes hold; shared pages count in each."""
        return sum(_rss_bytes(pid) for pid in _family(self.process.pid))


@contextmanager
def running(server: Server) -> Iterator[Running]:
    """The server, ready; raises `DidNotStart`."""
    log = WORK / "logs" / f"{server.venv or server.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as lines:
        started = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603 - the servers under test
            [server.python, *server.command],
            cwd=server.root,
            env=server.environ(),
            stdout=lines,
            stderr=lines,
            start_new_session=True,
        )
        try:
            _wait(server, process, log)
            yield Running(server, process, time.perf_counter() - started)
        finally:
            _stop(process)


def ask(server: Server, body: bytes) -> tuple[int, bytes]:
    """One picture's status and answer."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    try:
        connection.request("POST", server.path, body, {"Content-Type": CONTENT_TYPES[server.body]})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def busy_seconds() -> float:
    """Processor time of the whole machine so far, all cores together; what a hypervisor withholds counts as busy."""
    user, nice, system, _, _, *rest = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    return sum(map(int, (user, nice, system, *rest))) / TICKS


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    """Ready is who answers a picture."""
    picture = (WORK / "bodies" / server.body / "0").read_bytes()
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError, http.client.HTTPException):
            if ask(server, picture)[0] == 200:
                return
        time.sleep(0.02)
    raise DidNotStart(log.read_bytes()[-2000:].decode(errors="replace"))


def _stop(process: subprocess.Popen[bytes]) -> None:
    family = _family(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=15)
    for pid in family:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _family(root: int) -> list[int]:
    """The process and all that it started, directly or not."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError, ValueError, IndexError):
                parents.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(parents.get(pid, []))
    return found


def _stat(pid: int) -> list[str]:
    """The fields of `/proc/PID/stat` from the third on, after the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_seconds(pid: int) -> float:
    with suppress(OSError):
        fields = _stat(pid)
        return (int(fields[11]) + int(fields[12])) / TICKS
    return 0.0


def _rss_bytes(pid: int) -> int:
    with suppress(OSError):
        return int(_stat(pid)[21]) * os.sysconf("SC_PAGE_SIZE")
    return 0
