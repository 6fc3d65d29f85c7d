"""Channels cut out of a network for good, and cut out of a fresh one in the same way (DepGraph, Fang et al. 2023)."""

import json
from pathlib import Path
from typing import Any

import torch
import torch_pruning

from training.networks.classifier import Classifier


def prune_channels(network: Classifier, size: int, share: float) -> list[Any]:
    """Cut `share` of each layer's channels, those with the least norm, and say which; the classes stay.

    Layers that must agree (depthwise convolutions, shortcuts, the head's inputs) are cut alike.
    """
    pruner = torch_pruning.pruner.MagnitudePruner(
        network,
        _example(size),
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=share,
        ignored_layers=[network.head, *([] if network.cells is None else [network.cells])],
        output_transform=lambda output: output.logits,
        round_to=8,
    )
    pruner.step()
    _settle(network)
    history: list[Any] = pruner.pruning_history()
    return history


def cut_channels(network: Classifier, path: Path, size: int) -> None:
    """Cut the channels that the file at `path` lists."""
    graph = torch_pruning.DependencyGraph().build_dependency(
        network, _example(size), output_transform=lambda output: output.logits
    )
    graph.load_pruning_history(json.loads(path.read_text()))
    _settle(network)


def _example(size: int) -> torch.Tensor:
    return torch.zeros(1, size, size)


def _settle(network: Classifier) -> None:
    """Let the network know its new width."""
    network.backbone.num_features = network.head.in_features
