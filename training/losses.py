"""What the network is asked to make small."""

import torch
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
