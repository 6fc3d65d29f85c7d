"""What reads classes off an embedding."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SigmoidHead(nn.Module):
    """One logit z for the second of two classes, answered as the pair (0, z).

    softmax(0, z) is (1 − sigmoid(z), sigmoid(z)) and its cross-entropy is z's binary cross-entropy, so that whatever
    reads a softmax head (losses, temperature, the service) reads this one too.
    """

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.score = nn.Linear(in_features, 1)

    def forward(self, embedding: Tensor) -> Tensor:
        """Embedding (N, in_features) to logits (N, 2)."""
        return F.pad(self.score(embedding), (1, 0))

    @property
    def in_features(self) -> int:
        """Width of the embedding."""
        return self.score.in_features

    @property
    def weight(self) -> Tensor:
        """What a linear head with two outputs would hold: (2, in_features)."""
        return torch.cat([torch.zeros_like(self.score.weight), self.score.weight])

    @property
    def bias(self) -> Tensor:
        """The same for its bias: (2,)."""
        return torch.cat([torch.zeros_like(self.score.bias), self.score.bias])


def new_head(in_features: int, classes: int, *, sigmoid: bool) -> nn.Linear | SigmoidHead:
    """A dense layer with one logit a class, or for two classes a single one; raises `ValueError` for more."""
    if not sigmoid:
        return nn.Linear(in_features, classes)
    if classes != 2:
        raise ValueError(f"a sigmoid tells two classes apart, not {classes}")
    return SigmoidHead(in_features)
