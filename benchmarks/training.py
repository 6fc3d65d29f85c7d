"""What a step of training takes on the CPU by precision, over the same step in float32.

    python -m benchmarks.training [ARCHITECTURE [SIDE]]

`bfloat16` is torch's autocast alone, `ours` the same with `training.depthwise`. Random slices and weights, batches of
16, one thread's processor time; ways take turns.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

from benchmarks.report import spread
from training.depthwise import SingleGradients
from training.networks.classifier import Classifier

ROUNDS = 7
BATCH = 16
Way = Callable[[], AbstractContextManager[object]]


def main(architecture: str = "tf_efficientnet_lite0", side: str = "224") -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = Classifier(architecture, 4, size=int(side)).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch takes it
    slices = torch.randint(0, 256, (BATCH, int(side), int(side)), dtype=torch.uint8)
    ways: dict[str, Way] = {
        "float32": nullcontext,
        "bfloat16": lambda: torch.autocast("cpu", torch.bfloat16),
        "ours": _ours,
    }
    for way in ways.values():
        seconds_of(network, slices, way)  # where kernels are chosen
    rounds = [{name: seconds_of(network, slices, way) for name, way in ways.items()} for _ in range(ROUNDS)]
    print(f"{architecture} at {side} pixels, batches of {BATCH}, one thread, {ROUNDS} rounds; over float32")
    for name in ("bfloat16", "ours"):
        print(f"  {name}: {spread([each[name] / each['float32'] for each in rounds])}")


def seconds_of(network: Classifier, slices: Tensor, way: Way) -> float:
    """Processor time of one step's gradients."""
    started = time.process_time()
    network.zero_grad()
    with way():
        logits = network(slices).logits
    logits.float().logsumexp(dim=1).sum().backward()
    return time.process_time() - started


@contextmanager
def _ours() -> Iterator[None]:
    with torch.autocast("cpu", torch.bfloat16), SingleGradients():
        yield


if __name__ == "__main__":
    main(*sys.argv[1:])
