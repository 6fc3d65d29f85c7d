"""How many cores this process may keep busy, and which of its threads may wait."""

import contextlib
import math
import os
import sys
import threading
from pathlib import Path

MOST_NICE = 19
NICE = 5
"""Of a thread that gives way: where a core is short it gets a third of a neighbour's share. More starves it wherever
other processes are busy too, and a thread that starves may hold the interpreter's lock."""


def give_way(lanes_nice: int = 0) -> None:
    """Let the calling thread wait for all others, lanes of this nice too, where cores are short."""
    be_nice(lanes_nice + NICE)


def be_nice(nice: int) -> None:
    """Make the calling thread nicer than the process's first one by so much: on Linux, where each has its own.

    Where the system forbids it the thread works on as it is, for that only costs speed.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            first = os.getpriority(os.PRIO_PROCESS, os.getpid())
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(MOST_NICE, first + nice))


def usable_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores of the affinity mask, or of the cgroup's quota where that is less; at least one."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota(cgroup)
    return affinity if quota is None else max(1, min(affinity, math.ceil(quota)))


def cgroup_quota(cgroup: Path) -> float | None:
    """Cores' worth of time, from version 2's `cpu.max` or version 1's `cpu.cfs_*`; None without a limit."""
    for read in (_quota_v2, _quota_v1):
        try:
            return read(cgroup)
        except (OSError, ValueError):
            continue
    return None


def _quota_v2(cgroup: Path) -> float | None:
    quota, period = (cgroup / "cpu.max").read_text().split()
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1(cgroup: Path) -> float | None:
    quota, period = (int((cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    return None if quota <= 0 else quota / period
