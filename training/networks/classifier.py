"""A timm backbone with a linear head, fed the contract's uint8 slices."""

from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from training.networks import torchvision_schema  # noqa: F401 - must come before timm

import timm  # isort: skip
import safetensors.torch  # isort: skip

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Output(NamedTuple):
    """Logits (N, classes) and the pooled features (N, embedding) they were read from."""

    logits: Tensor
    embedding: Tensor


class Classifier(nn.Module):
    """Slices (N, h, w), uint8 or float in 0–255, to `Output`; scaling and normalisation are inside."""

    mean: Tensor
    std: Tensor

    def __init__(self, architecture: str, classes: int, *, dropout: float = 0.0, drop_path: float = 0.0) -> None:
        super().__init__()
        self.backbone = cast("Any", timm.create_model(architecture, num_classes=0, drop_path_rate=drop_path))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.backbone.num_features, classes)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, slices: Tensor) -> Output:
        """Slices (N, h, w) to logits and embedding."""
        return self.with_features(slices)[0]

    def with_features(self, slices: Tensor) -> tuple[Output, Tensor]:
        """The output, and the last feature map (N, features, h', w') that it was pooled from."""
        grey = slices.unsqueeze(1).to(self.mean.dtype)
        features = self.backbone.forward_features((grey - self.mean) / self.std)
        embedding = self.backbone.forward_head(features)
        return Output(self.head(self.dropout(embedding)), embedding), features


def load_backbone(network: Classifier, weights: Path) -> None:
    """Load a safetensors trunk with timm's parameter names; raises `ValueError` if it does not fit."""
    missing, unexpected = network.backbone.load_state_dict(safetensors.torch.load_file(weights), strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"{weights.name} does not fit: missing {missing[:3]}, unexpected {unexpected[:3]}")
