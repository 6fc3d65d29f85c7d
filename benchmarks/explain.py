"""What an explanation costs beside a prediction, layer by layer.

    python -m benchmarks.explain models/brain-mri-efficientnet-lite0/2

Graphs take turns, round after round, so that whatever else the machine does falls on all of them; what is printed is
the median ratio of a layer's explain graph to the plain graph on the same slices, with the spread of its rounds.
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np

from service.contract.card import GOLDEN_FILE, MODEL_FILE, Card, read_card
from service.explain_session import PREDICTED, ExplainSession, Question
from service.session import CPU, Session, Slice, make_plan

BATCHES = (1, 8)
ROUNDS = 31


def main(bundle: Path) -> None:
    """Measure and print."""
    card = read_card(bundle.resolve())
    with np.load(bundle / GOLDEN_FILE) as golden:
        slices = list(golden["images"])
    print(f"{ROUNDS} rounds, one thread; ratio to {MODEL_FILE}")
    for size in BATCHES:
        for layer, ratios in measure(bundle, card, slices[:size]).items():
            low, high = np.quantile(ratios, [0.25, 0.75])
            median = statistics.median(ratios)
            print(f"batch {size}, layer {layer}: {median:.2f}, half of the rounds in [{low:.2f}, {high:.2f}]")


def measure(bundle: Path, card: Card, slices: list[Slice]) -> dict[str, list[float]]:
    """For each layer the ratio of its run to the plain run, a round each."""
    if card.explain is None:
        raise SystemExit(f"{bundle} cannot explain: its card names no layers")
    plan = make_plan(CPU, 1, lanes=1, threads=1, max_batch_size=len(slices))
    plain = Session(bundle / MODEL_FILE, plan)
    layers = {
        layer: ExplainSession(bundle / name, plan, layer, card.outputs.logits)
        for layer, name in card.explain.layers.items()
    }
    found: dict[str, list[float]] = {layer: [] for layer in layers}
    for number in range(ROUNDS + 1):
        base = seconds(plain, slices)
        for layer, session in layers.items():
            if number:  # the first round warms up
                found[layer].append(seconds_explained(session, slices) / base)
            else:
                seconds_explained(session, slices)
    return found


def seconds(session: Session, slices: list[Slice]) -> float:
    """Seconds of one prediction run."""
    started = time.perf_counter()
    session.run(slices)
    return time.perf_counter() - started


def seconds_explained(session: ExplainSession, slices: list[Slice]) -> float:
    """Seconds of one explain run, of the classes predicted."""
    questions = [Question(pixels, PREDICTED, session.layer) for pixels in slices]
    started = time.perf_counter()
    session.explain(questions)
    return time.perf_counter() - started


if __name__ == "__main__":
    main(Path(sys.argv[1]))
