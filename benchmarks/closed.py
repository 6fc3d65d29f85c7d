"""Closed loop: wrk keeps so many requests in flight, each connection one."""

import json
import resource
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.running import Running, busy_seconds
from benchmarks.servers import ROOT, WORK
from benchmarks.slices import CONTENT_TYPES, COUNT

SCRIPT = ROOT / "benchmarks" / "closed.lua"


def closed_loop(running: Running, concurrency: int, seconds: float) -> dict[str, Any]:
    """Requests and latencies (seconds) by wrk, and the cores that generator and server took meanwhile."""
    server = running.server
    command: list[str | Path] = ["wrk", "-t1", f"-c{concurrency}", f"-d{seconds:g}s", "--timeout", "30s", "-s", SCRIPT]
    words: list[str | Path] = [
        server.url + server.path,
        "--",
        WORK / "bodies" / server.body,
        str(COUNT),
        CONTENT_TYPES[server.body],
    ]
    before, used, busy = children_seconds(), running.cpu_seconds(), busy_seconds()
    finished = subprocess.run([*command, *words], capture_output=True, check=True)  # noqa: S603 - the generator
    server_seconds, busy = running.cpu_seconds() - used, busy_seconds() - busy
    generator_seconds = children_seconds() - before
    found: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return found | {
        "rate": (found["requests"] - found["errors"]) / found["seconds"],
        "generator_cores": generator_seconds / found["seconds"],
        "server_cores": server_seconds / found["seconds"],
        "other_cores": (busy - server_seconds - generator_seconds) / found["seconds"],
    }


def children_seconds() -> float:
    """Processor time of the finished child processes: only wrk ends between two calls."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
