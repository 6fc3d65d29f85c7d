"""The loss of a batch, part by part: parts add up to what the whole batch would give."""

from typing import NamedTuple

from torch import Tensor

from training.batches import Batch
from training.config import OptimizerConfig
from training.losses import distillation_loss, outline_loss, overlap_loss, partial_label_loss


class Taught(NamedTuple):
    """What teachers answer: mean probabilities (n, classes) at a temperature, and the weight they have in the loss."""

    probabilities: Tensor
    temperature: float
    weight: float


def part_loss(
    logits: Tensor, drawn: Tensor, part: Batch, whole: Batch, config: OptimizerConfig, *, taught: Taught | None = None
) -> Tensor:
    """What `part` adds to the loss of `whole`: classes by its slices' share, outlines by its outlined slices' share.

    Logits (n, classes) and `drawn`, the logit of a tumour in every cell (n, 1, h', w'), are of `part`, and so is what
    teachers answer to it.
    """
    slices = len(part.slices) / len(whole.slices)
    outlined = int(part.outlined.sum()) / max(int(whole.outlined.sum()), 1)
    classes = part.share * partial_label_loss(logits, part.allowed, config.smoothing)
    classes += (1 - part.share) * partial_label_loss(logits, part.partners, config.smoothing)
    if taught:
        soft = distillation_loss(logits, taught.probabilities, taught.temperature)
        classes = (1 - taught.weight) * classes + taught.weight * soft
    outlines = outline_loss(drawn, part.masks, part.outlined)
    if config.theta is None:
        return classes * slices + config.outline_weight * outlines * outlined
    outlines += overlap_loss(drawn, part.masks, part.outlined)
    return (1 - config.theta) * classes * slices + config.theta * outlines * outlined
