"""Which plan (lanes × threads × batch) gives this machine the most slices a second.

    python -m benchmarks.plan models/brain-mri-efficientnet-lite0/1

Plans take turns, round after round, so that whatever else the machine does falls on all of them; what is printed is
each plan's median throughput as a ratio to one lane with all threads and batches of one, with the spread of its rounds.
"""

import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from service.contract.card import GOLDEN_FILE, MODEL_FILE
from service.cpus import usable_cpus
from service.session import CPU, Session, Slice, make_plan

BATCHES = (1, 2, 4, 8)
ROUNDS = 7
SLICES = 64


def main(bundle: Path) -> None:
    """Measure and print."""
    with np.load(bundle / GOLDEN_FILE) as golden:
        slices = list(golden["images"]) * (SLICES // len(golden["images"]))
    cpus = usable_cpus()
    sessions = {
        (lanes, threads, batch): Session(bundle / MODEL_FILE, make_plan(CPU, cpus, lanes, threads, batch))
        for lanes, threads in sorted({(1, cpus), (cpus, 1)})
        for batch in BATCHES
    }
    for session in sessions.values():
        throughput(session, slices)
    rounds = [{plan: throughput(session, slices) for plan, session in sessions.items()} for _ in range(ROUNDS)]
    base = (1, cpus, 1)
    print(f"{cpus} cores, {ROUNDS} rounds of {SLICES} slices; ratio to lanes {base[0]} x threads {base[1]} x batch 1")
    for plan in sessions:
        ratios = [each[plan] / each[base] for each in rounds]
        lanes, threads, batch = plan
        print(
            f"lanes {lanes} x threads {threads} x batch {batch}: {statistics.median(ratios):.2f}"
            f"  [{min(ratios):.2f}, {max(ratios):.2f}]"
        )


def throughput(session: Session, slices: Sequence[Slice]) -> float:
    """Slices a second through the session's lanes."""
    size = session.plan.max_batch_size
    batches = [slices[start : start + size] for start in range(0, len(slices), size)]
    started = time.perf_counter()
    with ThreadPoolExecutor(session.plan.lanes) as lanes:
        list(lanes.map(session.run, batches))
    return len(slices) / (time.perf_counter() - started)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
