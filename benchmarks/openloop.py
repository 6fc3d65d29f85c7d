"""Open loop: `open.c` sends pictures when a Poisson clock says so, and counts from when each was due."""

import subprocess
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.running import Running
from benchmarks.servers import PORT, ROOT, WORK
from benchmarks.slices import CONTENT_TYPES, COUNT

SOURCE, PROGRAM = ROOT / "benchmarks" / "open.c", WORK / "open"
PROBES = ("/livez", "20")
"""What is asked besides, and how often a second."""


@dataclass(frozen=True)
class Request:
    """One line of the generator's account: seconds from when it was due, and how late it was sent."""

    due: float
    status: int
    latency: float
    retry_after: bool
    picture: bool
    late: float


def build() -> None:
    """Compile the generator where it is older than its source."""
    if not PROGRAM.exists() or PROGRAM.stat().st_mtime < SOURCE.stat().st_mtime:
        subprocess.run(["gcc", "-O2", "-o", PROGRAM, SOURCE, "-lm"], check=True)  # noqa: S603, S607 - as a user finds it


def open_loop(running: Running, rate: float, seconds: float, seed: int) -> dict[str, Any]:
    """What became of `rate` pictures a second: see `summary`."""
    build()
    server = running.server
    command = [
        PROGRAM,
        "127.0.0.1",
        PORT,
        server.path,
        CONTENT_TYPES[server.body],
        WORK / "bodies" / server.body,
        COUNT,
    ]
    words = [*command, rate, seconds, seed, *(PROBES if server.probed else ())]
    finished = subprocess.run([str(word) for word in words], capture_output=True, check=True, text=True)  # noqa: S603 - ours
    return summary([read_line(line) for line in finished.stdout.splitlines()], seconds)


def read_line(line: str) -> Request:
    """One request's account."""
    due, status, latency, retry_after, kind, late = line.split()
    return Request(float(due), int(status), float(latency), retry_after == "1", kind == "p", float(late))


def summary(requests: list[Request], seconds: float) -> dict[str, Any]:
    """Counts by outcome; percentiles in seconds of answers, refusals, probes and the generator's own lateness.

    `goodput`: pictures answered a second while pictures were being sent.
    """
    pictures = [request for request in requests if request.picture]
    begun = min(request.due for request in requests)
    right = [request for request in pictures if request.status == 200]
    refused = [request for request in pictures if request.status == 503]
    in_time = [request for request in right if request.due + request.latency <= begun + seconds]
    return {
        "sent": len(pictures),
        "right": len(right),
        "refused": len(refused),
        "refused_without_retry_after": sum(not request.retry_after for request in refused),
        "lost": sum(request.status == 0 for request in requests),
        "other": len(pictures) - len(right) - len(refused) - sum(request.status == 0 for request in pictures),
        "goodput": len(in_time) / seconds,
        "p50": quantile(right, 0.5),
        "p99": quantile(right, 0.99),
        "refusal_p50": quantile(refused, 0.5),
        "refusal_p99": quantile(refused, 0.99),
        "probe_p99": quantile([request for request in requests if not request.picture], 0.99),
        "late_p99": float(np.quantile([request.late for request in requests], 0.99)),
        "most_waiting": most_waiting(pictures),
    }


def quantile(requests: list[Request], share: float) -> float | None:
    """Of the latencies; None where there are none."""
    return float(np.quantile([request.latency for request in requests], share)) if requests else None


def most_waiting(requests: list[Request]) -> int:
    """The most pictures that were unanswered at once."""
    starts = [(request.due, 1) for request in requests]
    ends = [(request.due + request.latency, -1) for request in requests]
    steps = np.array([step for _, step in sorted(starts + ends)])
    return int(steps.cumsum().max())
