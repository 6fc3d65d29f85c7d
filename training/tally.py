"""An epoch's training figures, from logits that were computed anyway."""

import math

import numpy as np
import torch
from torch import Tensor

from training import scores
from training.processes import Processes


class Tally:
    """The loss of every batch, and how often each class was answered so, augmented and with dropout as it was."""

    def __init__(self, classes: int) -> None:
        self._losses: list[Tensor] = []
        self._matrix = torch.zeros(classes, classes, dtype=torch.int64)

    def add(self, losses: list[Tensor], logits: Tensor, allowed: Tensor) -> None:
        """The parts of a batch's loss, its logits (N, classes) and allowed classes; slices of several do not count."""
        self._losses.append(torch.stack(losses).sum().cpu() if losses else torch.zeros(()))
        known = allowed.sum(dim=1) == 1
        places = allowed[known].int().argmax(dim=1) * len(self._matrix) + logits[known].argmax(dim=1)
        self._matrix += places.bincount(minlength=self._matrix.numel()).view_as(self._matrix)

    def figures(self, processes: Processes) -> dict[str, float]:
        """Loss, accuracy, macro precision and macro recall over all processes; a batch's loss is the sum of theirs."""
        losses, matrix = (processes.sum(each) for each in (torch.stack(self._losses), self._matrix))
        precision, recall, _ = scores.precision_recall_f1(matrix.numpy())
        return {
            "train_loss": float(np.mean(losses.tolist())),
            "train_accuracy": scores.accuracy(matrix.numpy()) if matrix.any() else math.nan,
            "train_precision": float(precision.mean()),
            "train_recall": float(recall.mean()),
        }
