"""What a network answers to slices it does not learn from, epoch by epoch."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import f1_score
from torch import Tensor, nn

from service.contract.probabilities import Probabilities, probabilities
from training import scores
from training.data.outlines import Masks
from training.data.slices import Slices
from training.errors import DivergedError
from training.losses import partial_label_loss
from training.memory import Parts
from training.networks.classifier import Classifier
from training.processes import Processes

BATCH = 64


@torch.inference_mode()
def logits_of(network: nn.Module, slices: Slices, device: str | torch.device) -> Tensor:
    """Logits (N, classes), float32 on the CPU, in evaluation mode; batches halve where memory runs out."""
    network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch takes it

    def answer(chosen: slice) -> Tensor:
        logits: Tensor = network(torch.from_numpy(slices.pixels[chosen].copy()).to(device)).logits
        return logits

    parts = Parts(BATCH).run(len(slices.rows), answer, lambda: None)
    return torch.cat(parts).float().cpu()


def answers_of(network: nn.Module, slices: Slices, temperature: float) -> Probabilities:
    """Calibrated probabilities (N, classes), computed on the CPU."""
    return probabilities(logits_of(network, slices, "cpu").numpy(), temperature)


def validate(network: nn.Module, slices: Slices, processes: Processes) -> dict[str, float]:
    """Loss and tumour sensitivity over all slices; every other figure over those of known class, macro means.

    Raises `DivergedError` where an answer is no number.
    """
    logits = processes.share_out(slices, lambda mine: logits_of(network, mine, processes.device))
    if not logits.isfinite().all():
        raise DivergedError
    allowed, known, targets = torch.from_numpy(slices.allowed), slices.known, slices.targets
    answers = logits.argmax(dim=1).numpy()
    unknown = slices.allowed[~known, answers[~known]]
    matrix = scores.confusion_matrix(answers[known], targets[known], logits.shape[1])
    precision, recall, _ = scores.precision_recall_f1(matrix)
    return {
        "val_loss": partial_label_loss(logits, allowed).item(),
        "val_accuracy": float((answers == targets)[known].mean()),
        "val_precision": float(precision.mean()),
        "val_recall": float(recall.mean()),
        "val_macro_f1": float(f1_score(targets[known], answers[known], average="macro")),
        "val_auroc": _auroc(logits[torch.from_numpy(known)], targets[known]),
        "val_unknown_tumor_sensitivity": float(unknown.mean()) if len(unknown) else math.nan,
    }


class Overlaps(NamedTuple):
    """Which slices show an outlined tumour, by position (n,), and how well each one's mask fits: Dice and IoU (n,)."""

    shown: npt.NDArray[np.intp]
    dice: npt.NDArray[np.float64]
    iou: npt.NDArray[np.float64]


def overlap(
    network: Classifier, outline: nn.Module, slices: Slices, masks: Masks, device: torch.device
) -> dict[str, float]:
    """Mean Dice and IoU over the slices that show an outlined tumour."""
    found = overlaps(network, outline, slices, masks, device)
    if not len(found.shown):
        return {"val_dice": math.nan, "val_iou": math.nan}
    return {"val_dice": float(found.dice.mean()), "val_iou": float(found.iou.mean())}


@torch.inference_mode()
def overlaps(network: Classifier, outline: nn.Module, slices: Slices, masks: Masks, device: torch.device) -> Overlaps:
    """What is drawn against what is right, pixel by pixel of the outline's own grid."""
    network.eval()
    shown = np.flatnonzero(masks.known & (masks.pixels.max(axis=(1, 2)) > 127))
    parts = [torch.zeros(3, 0, dtype=torch.long)]
    for start in range(0, len(shown), BATCH):
        chosen = shown[start : start + BATCH]
        drawn = outline(network.with_features(torch.from_numpy(slices.pixels[chosen]).to(device))[1])
        right = torch.from_numpy(masks.pixels[chosen]).to(device).unsqueeze(1).float() / 255
        right = nn.functional.adaptive_avg_pool2d(right, drawn.shape[-2:])
        parts.append(_overlaps(drawn > 0, right > 0.5))
    both, either, total = torch.cat(parts, dim=1).double()
    return Overlaps(shown, (2 * both / total.clamp(min=1)).numpy(), (both / either.clamp(min=1)).numpy())


def _overlaps(ours: Tensor, theirs: Tensor) -> Tensor:
    """Cells of the intersection, of the union and of both together: (3, N), on the CPU."""
    both, either = (ours & theirs).sum((1, 2, 3)), (ours | theirs).sum((1, 2, 3))
    return torch.stack([both, either, both + either]).cpu()


def _auroc(logits: Tensor, targets: scores.Ints) -> float:
    if len(np.unique(targets)) < logits.shape[1]:
        return math.nan
    return scores.auroc(probabilities(logits.numpy(), 1.0), targets)
