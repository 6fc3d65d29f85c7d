import numpy as np
import torch
from torch import Tensor, nn

from training.data.slices import Slices
from training.networks.classifier import Classifier
from training.validation import logits_of

SLICES = Slices([], np.random.default_rng(3).integers(0, 256, (7, 64, 64), np.uint8), np.ones((7, 4), np.bool_))


class Narrow(nn.Module):
    """A network that finds no memory for more than two slices."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, slices: Tensor) -> Tensor:
        if len(slices) > 2:
            raise RuntimeError("could not create a primitive")
        answer: Tensor = self.network(slices)
        return answer


def test_slices_are_answered_in_smaller_batches_where_memory_runs_out() -> None:
    network = Classifier("test_efficientnet", 4).eval()
    rows = Slices([None] * 7, SLICES.pixels, SLICES.allowed)  # type: ignore[list-item]  # rows are only counted
    narrow, wide = logits_of(Narrow(network), rows, "cpu"), logits_of(network, rows, "cpu")
    torch.testing.assert_close(narrow, wide)
