"""How much faster a variant is than the version that it comes from.

    python -m benchmarks.variants models/brain-mri-efficientnet-lite0/2 models/brain-mri-efficientnet-lite0-int8/1

Bundles take turns, round after round, so that whatever else the machine does falls on all of them. Printed is the
median ratio of slices a second to the first bundle's, with half of the rounds: alone (one lane, one thread) with
batches of 1 and 4, and by the CPU plan (a lane a core) with batches of 4.
"""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.plan import throughput
from service.contract.card import GOLDEN_FILE, MODEL_FILE, read_card
from service.cpus import usable_cpus
from service.session import CPU, Session, Slice, make_plan

ROUNDS = 41
SLICES = 16


class Asked(NamedTuple):
    """A bundle's name, its slices, and its graph in one session a plan."""

    name: str
    slices: Sequence[Slice]
    sessions: dict[str, Session]


def main(bundles: Sequence[Path]) -> None:
    """Measure and print."""
    asked = [open_bundle(bundle.resolve()) for bundle in bundles]
    print(f"{usable_cpus()} cores, {ROUNDS} rounds of {SLICES} slices; slices a second over {asked[0].name}'s")
    for plan in asked[0].sessions:
        for bundle, ratios in zip(asked[1:], measure(asked, plan), strict=True):
            low, high = np.quantile(ratios, [0.25, 0.75])
            median = statistics.median(ratios)
            print(f"{plan}: {bundle.name} {median:.2f}, half of the rounds in [{low:.2f}, {high:.2f}]")


def open_bundle(bundle: Path) -> Asked:
    """The bundle at `bundle` by every plan."""
    card = read_card(bundle)
    with np.load(bundle / GOLDEN_FILE) as golden:
        slices = list(golden["images"]) * (SLICES // len(golden["images"]))
    cpus = usable_cpus()
    plans = {
        "batch 1, one thread": make_plan(CPU, 1, lanes=1, threads=1, max_batch_size=1),
        "batch 4, one thread": make_plan(CPU, 1, lanes=1, threads=1, max_batch_size=4),
        "batch 4, the CPU plan": make_plan(CPU, cpus),
    }
    sessions = {name: Session(bundle / MODEL_FILE, plan) for name, plan in plans.items()}
    return Asked(f"{card.name}/{card.version} ({card.precision}, {card.input.width} px)", slices, sessions)


def measure(asked: Sequence[Asked], plan: str) -> list[list[float]]:
    """For each bundle but the first its throughput over the first one's, a round each."""
    rounds = [[throughput(bundle.sessions[plan], bundle.slices) for bundle in asked] for _ in range(ROUNDS + 1)]
    return [[each[place] / each[0] for each in rounds[1:]] for place in range(1, len(asked))]  # the first warms up


if __name__ == "__main__":
    main([Path(word) for word in sys.argv[1:]])
