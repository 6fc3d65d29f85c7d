"""Weights set to 0 for good by magnitude, layer by layer."""

import torch
from torch import Tensor, nn

from training.networks.classifier import Classifier


@torch.no_grad()
def cut_weights(network: Classifier, share: float) -> None:
    """Set a `share` of each cut layer's weights, the smallest in magnitude, to 0 (Han et al. 2015).

    Layer by layer: one limit for all would empty whole layers, through which nothing gets any more.
    """
    for weight in weights_to_cut(network):
        sizes = weight.abs().flatten()
        limit = sizes.kthvalue(max(round(share * sizes.numel()), 1)).values
        weight.mul_(weight.abs() > limit)


def weights_to_cut(network: Classifier) -> list[Tensor]:
    """The weights of dense layers and of all convolutions but the first and the depthwise ones.

    Those few weights, one filter a channel, are what a network of separable convolutions can spare least (Zhu & Gupta
    2017, arXiv 1710.01878).
    """
    layers = [each for each in network.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    first = next(each for each in layers if isinstance(each, nn.Conv2d))
    return [each.weight for each in layers if each is not first and not _is_depthwise(each)]


def share_of_zeros(network: Classifier) -> float:
    """Share of weights that are 0, of those that could be cut."""
    weights = weights_to_cut(network)
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


def _is_depthwise(layer: nn.Conv2d | nn.Linear) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1
