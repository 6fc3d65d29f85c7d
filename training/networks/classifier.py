"""A backbone with a head, fed the contract's uint8 slices."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.networks.backbones import build_backbone
from training.networks.heads import new_head
from training.networks.plain import PlainNetwork
from training.networks.unet import UNet

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Output(NamedTuple):
    """Logits (N, classes) and the embedding (N, features) they were read from, by the head at least."""

    logits: Tensor
    embedding: Tensor


class Classifier(nn.Module):
    """Slices (N, h, w), uint8 or float in 0–255, to `Output`; scaling and normalisation are inside.

    With `absent`, the index of the class without a tumour, the logit of a tumour in the likeliest cell of the last
    feature map is added to every tumour's once the network answers (max pooling of instances, Oquab et al. 2015, §3),
    counted from `doubt`, where it speaks neither for a tumour nor against one.
    Cells learn from outlines, where the scanner and the plane of a slice, which all its cells share, tell nothing; and
    from these alone, since a sum that learns classes leaves to each part what the other one lacks: while it trains,
    logits and what is told of them are the head's.
    """

    mean: Tensor
    std: Tensor
    tumors: Tensor

    def __init__(
        self,
        architecture: str,
        classes: int,
        *,
        size: int = 224,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        widths: Sequence[int] = (),
        dense: Sequence[int] = (),
        sigmoid: bool = False,
        absent: int | None = None,
        doubt: float = 0.0,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        backbone = build_backbone(
            architecture, size=size, drop_path=drop_path, widths=widths, dense=dense, pretrained=pretrained
        )
        self.backbone = cast("Any", backbone)
        self.dropout = nn.Dropout(dropout)
        self.head = new_head(self.backbone.num_features, classes, sigmoid=sigmoid)
        self.cells = None if absent is None else self._new_cells()
        self.doubt = doubt
        self.frozen = False
        tumors = torch.tensor([place != absent for place in range(classes)]).float()
        self.register_buffer("tumors", tumors, persistent=False)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, slices: Tensor) -> Output:
        """Slices (N, h, w) to logits and embedding."""
        return self.classify(self.backbone.forward_features(self.normalise(slices)))

    def with_features(self, slices: Tensor) -> tuple[Output, Tensor]:
        """The output, and what `new_outline_head` reads an outline from: the last feature map, or a U-Net's mask."""
        pictures = self.normalise(slices)
        if isinstance(self.backbone, UNet):
            features, mask = self.backbone.with_mask(pictures)
            return self.classify(features), mask
        features = self.backbone.forward_features(pictures)
        return self.classify(features), features

    def normalise(self, slices: Tensor) -> Tensor:
        """Slices (N, h, w) to pictures (N, 3, h, w) of about mean 0 and deviation 1."""
        return (slices.unsqueeze(1).to(self.mean.dtype) - self.mean) / self.std

    def classify(self, features: Tensor) -> Output:
        """The last feature map (N, channels, h', w') to the output."""
        embedding = self.backbone.forward_head(features)
        logits = self.head(self.dropout(embedding))
        if self.cells is not None and not self.training:
            likeliest = F.max_pool2d(self.cells(features), features.shape[-2:]).flatten(1)
            logits = logits + (likeliest - self.doubt) * self.tumors
        return Output(logits, embedding)

    def new_outline_head(self) -> nn.Module:
        """What turns the second part of `with_features` into the logit of a tumour in every cell (N, 1, h', w').

        Where the network answers by its cells, it is its own.
        """
        if isinstance(self.backbone, UNet):
            return nn.Identity()
        return self.cells or self._new_cells()

    def _new_cells(self) -> nn.Conv2d:
        channels = self.backbone.channels if isinstance(self.backbone, PlainNetwork) else self.head.in_features
        return nn.Conv2d(channels, 1, kernel_size=1)

    @property
    def pooled(self) -> bool:
        """Whether the logits are read from the mean of the last feature map, and from nothing else."""
        return not isinstance(self.backbone, PlainNetwork) and self.cells is None

    def freeze(self) -> Self:
        """Keep the backbone as it is, its batch norms' statistics included: only the head learns, and cells do."""
        self.frozen = True
        self.backbone.requires_grad_(requires_grad=False)
        return self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As torch has it, but a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self
