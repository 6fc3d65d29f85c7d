"""Make the runs that `training/RESULTS.md` still misses, several at once, each a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from training.evidence.collect import collect
from training.evidence.published import Missing

State = Literal["made", "failed", "unfinished"]
LOG = ".log"
"""Suffix of what a run's process says, beside the run's folder."""
STOP_SECONDS = 30.0


class Ended(NamedTuple):
    """What became of a run: collected, failed, or stopped when time was over, to go on where it is."""

    run: str
    state: State


def work_off(
    wanted: Sequence[Missing], data: Path, runs: Path, target: Path, *, at_once: int = 1, seconds: float | None = None
) -> Generator[Ended, None, None]:
    """Make the runs in their order, `at_once` beside each other, and collect each one's results into `target`.

    The cores are shared out between them; a run that needs another one, named before it, waits for it. When `seconds`
    are over, or whoever listens goes away, what runs is stopped and no other begins; the next call goes on. Each
    process writes to `<runs>/<run>.log`.
    """
    runs.mkdir(parents=True, exist_ok=True)
    end = None if seconds is None else time.monotonic() + seconds
    threads = str(max(1, torch.get_num_threads() // at_once))
    alive: set[subprocess.Popen[bytes]] = set()
    begun: dict[str, Future[Ended]] = {}

    def make(one: Missing, needed: Sequence[Future[Ended]]) -> Ended:
        if any(other.result().state != "made" for other in needed):
            return Ended(one.run, "unfinished")
        state = _make(one.words(data, runs), runs / f"{one.run}{LOG}", threads, end, alive)
        if state == "made":
            collect(runs / one.run, target)
        return Ended(one.run, state)

    pool = ThreadPoolExecutor(at_once)
    for one in wanted:
        begun[one.run] = pool.submit(make, one, [begun[name] for name in one.needs if name in begun])
    try:
        for made in as_completed(begun.values()):
            yield made.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        while any(each.running() for each in begun.values()):
            for process in tuple(alive):
                process.terminate()
            time.sleep(0.1)


def _make(
    words: Sequence[str], log: Path, threads: str, end: float | None, alive: set[subprocess.Popen[bytes]]
) -> State:
    """One command of `python -m training` from start to end, or until time is over."""
    left = None if end is None else end - time.monotonic()
    if left is not None and left <= 0:
        return "unfinished"
    environment = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads} | os.environ
    command = [sys.executable, "-m", "training", *words]
    with log.open("wb") as lines, subprocess.Popen(command, env=environment, stdout=lines, stderr=lines) as process:  # noqa: S603 - ours
        alive.add(process)
        try:
            return "failed" if process.wait(left) else "made"
        except subprocess.TimeoutExpired:
            return "unfinished"
        finally:
            alive.discard(process)
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
