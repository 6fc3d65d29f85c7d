"""From a recipe's `architecture` to what turns normalised pictures into an embedding."""

from collections.abc import Sequence
from typing import Any, Protocol, cast

from torch import Tensor, nn

from training.config import UNET
from training.errors import RecipeError
from training.networks import torchvision_schema  # noqa: F401 - must come before timm
from training.networks.plain import SHAPES, PlainNetwork
from training.networks.resnet3 import ResNet3
from training.networks.unet import UNet

import timm  # isort: skip


COPIED = (nn.ReLU6, nn.SiLU, nn.Hardswish)
"""Activations whose gradient needs their input: done in place, torch copies that input first, and saves nothing."""


class Backbone(Protocol):
    """What timm's networks without a classifier offer, and ours too."""

    num_features: int

    def forward_features(self, pictures: Tensor, /) -> Tensor:
        """Pictures (N, 3, h, w) to the last feature map (N, channels, h', w')."""
        ...

    def forward_head(self, features: Tensor, /) -> Tensor:
        """The last feature map to the embedding (N, num_features)."""
        ...


def build_backbone(
    architecture: str,
    *,
    size: int,
    drop_path: float = 0.0,
    widths: Sequence[int] = (),
    dense: Sequence[int] = (),
    pretrained: bool = False,
) -> nn.Module:
    """The backbone of this name: one of ours, `unet/<encoder>`, or timm's, with timm's weights where `pretrained`.

    `size` is the pictures' side where that decides a network's shape; `widths` (a block each) and `dense` replace those
    of a plain network. Raises `RecipeError` where there is no such network or no such weights.
    """
    if pretrained and _is_ours(architecture):
        raise RecipeError(f"timm offers no weights of {architecture!r}: name a file in weights, or leave them random")
    if architecture in SHAPES:
        blocks, layers, norm = SHAPES[architecture]
        return PlainNetwork(size, [(width,) for width in widths] or blocks, dense or layers, norm=norm)
    if architecture == "resnet3":
        return ResNet3()
    if architecture.startswith(UNET):
        return _unet(architecture.removeprefix(UNET))
    return _timm(architecture, drop_path, pretrained=pretrained)


def _is_ours(architecture: str) -> bool:
    return architecture in SHAPES or architecture == "resnet3" or architecture.startswith(UNET)


def _unet(encoder: str) -> nn.Module:
    try:
        return UNet(encoder)
    except (KeyError, RuntimeError, ValueError) as error:
        raise RecipeError(f"there is no U-Net with encoder {encoder!r}: {_first_line(error)}") from None


def _timm(architecture: str, drop_path: float, *, pretrained: bool) -> nn.Module:
    """Pooled globally, whatever dense layers the network was published with (VGG16's have 119 of its 134 M weights)."""
    options: dict[str, Any] = {"drop_path_rate": drop_path} if drop_path else {}
    try:
        network = timm.create_model(architecture, num_classes=0, pretrained=pretrained, **options)
    except (RuntimeError, OSError, TypeError) as error:
        source = "timm's weights of" if pretrained else "a network"
        raise RecipeError(f"timm gives no {source} {architecture!r}: {_first_line(error)}") from None
    if isinstance(network, timm.models.vgg.VGG):
        network.pre_logits = cast("Any", nn.Identity())
    for module in network.modules():
        if isinstance(module, COPIED):
            module.inplace = False
    return network


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
