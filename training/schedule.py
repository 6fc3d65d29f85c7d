"""The learning rate over a run: warm-up, then a cosine, a constant, or steps down when validation stalls."""

import math
from typing import Any

import torch

from training.config import OptimizerConfig

FLOOR = 0.01
"""Share of the learning rate that a cosine ends at."""


class Schedule:
    """Sets each parameter group's learning rate to its own times a factor, a step at a time."""

    def __init__(self, optimizer: torch.optim.Optimizer, config: OptimizerConfig, steps: int, epochs: int) -> None:
        self._optimizer = optimizer
        self._rates = [group["lr"] for group in optimizer.param_groups]
        self._config = config
        self._warm, self._total = round(config.warmup_epochs * steps), epochs * steps
        self._taken, self._reduction, self._best, self._stale = 0, 1.0, -math.inf, 0
        self._set()

    def step(self) -> None:
        """After each of the optimizer's steps."""
        self._taken += 1
        self._set()

    def after_epoch(self, score: float) -> None:
        """After each epoch with its validation score, of which more is better."""
        self._stale = 0 if score > self._best else self._stale + 1
        self._best = max(self._best, score)
        if self._config.schedule == "plateau" and self._stale >= self._config.plateau_patience:
            self._reduction, self._stale = self._reduction * self._config.plateau_factor, 0
            self._set()

    def factor(self, step: int) -> float:
        """What the learning rates are multiplied by at `step`, counted from 0."""
        if step < self._warm:
            return (step + 1) / self._warm
        if self._config.schedule != "cosine":
            return self._reduction
        share = (step - self._warm) / max(self._total - self._warm, 1)
        return FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * share)) / 2

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"last_epoch": self._taken, "reduction": self._reduction, "best": self._best, "stale": self._stale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`; one written by torch's LambdaLR names its steps `last_epoch` too."""
        self._taken, self._reduction = state["last_epoch"], state.get("reduction", 1.0)
        self._best, self._stale = state.get("best", -math.inf), state.get("stale", 0)
        self._set()

    def _set(self) -> None:
        factor = self.factor(self._taken)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
