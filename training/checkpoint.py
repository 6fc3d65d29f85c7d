"""Save and restore a run, so that an interruption costs one epoch at most."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.whole import whole

BEST = "best.pt"
LAST = "last.pt"


def save(state: dict[str, Any], path: Path) -> None:
    """Write `state` whole or not at all."""
    with whole(path) as partial:
        torch.save(state, partial)


def load(path: Path) -> dict[str, Any]:
    """Read tensors and plain values; never pickled code."""
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    return state


def seed_everything(seed: int) -> None:
    """Seed every generator a library might draw from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
