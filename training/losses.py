"""What the network is asked to make small."""

import torch
import torch.nn.functional as F
from torch import Tensor


def partial_label_loss(logits: Tensor, allowed: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean of −log Σ p(c) over the allowed classes; with one allowed class it is cross-entropy.

    Logits (N, C) and `allowed` (N, C) bool, at least one true a row. `smoothing` mixes in the cross-entropy
    to the uniform distribution (Szegedy et al. 2016, §7) where the class is known.
    """
    log_probs = logits.log_softmax(dim=1)
    loss = -log_probs.masked_fill(~allowed, -torch.inf).logsumexp(dim=1)
    smoothed = (1 - smoothing) * loss - smoothing * log_probs.mean(dim=1)
    return torch.where(allowed.sum(dim=1) == 1, smoothed, loss).mean()


def distillation_loss(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Mean Kullback–Leibler divergence from the teachers' probabilities `taught` (N, C), times T² (Hinton et al. 2015).

    The student's logits (N, C) are divided by `temperature`, as the teachers' were; T² keeps the gradient's size.
    """
    log_probs = (logits / temperature).log_softmax(dim=1)
    return temperature**2 * F.kl_div(log_probs, taught, reduction="batchmean")


def outline_loss(logits: Tensor, masks: Tensor, outlined: Tensor) -> Tensor:
    """Mean cross-entropy of each cell's logit (N, 1, h, w) with the share of it that is tumour in `masks` (N, 1, H, W).

    Only slices that are `outlined` (N,) count; 0 where none is.
    """
    height, width = logits.shape[-2:]
    shares = F.adaptive_avg_pool2d(masks, (height, width))
    losses = F.binary_cross_entropy_with_logits(logits, shares, reduction="none").mean(dim=(1, 2, 3))
    return (losses * outlined).sum() / outlined.sum().clamp(min=1)


def overlap_loss(logits: Tensor, masks: Tensor, outlined: Tensor) -> Tensor:
    """Mean of 1 − Dice of each slice's drawn and right outline, softly (Milletari et al. 2016, eq. 1 unsquared).

    Arguments are those of `outline_loss`; a slice without a tumour costs nothing if nothing is drawn.
    """
    height, width = logits.shape[-2:]
    shares = F.adaptive_avg_pool2d(masks, (height, width))
    drawn = logits.sigmoid()
    both, total = (drawn * shares).sum((1, 2, 3)), (drawn + shares).sum((1, 2, 3))
    return ((1 - (2 * both + 1) / (total + 1)) * outlined).sum() / outlined.sum().clamp(min=1)
