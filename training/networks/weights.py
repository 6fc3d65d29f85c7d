"""The weights a network starts from: a file's, the mean of several, timm's own, another architecture's convolutions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from training import checkpoint
from training.networks.classifier import Classifier

CLASSIFIERS = ("classifier.", "fc.", "head.", "pre_logits.")
"""Where the networks of others keep the layers behind their trunk."""
CELLS = "cells."
SAFETENSORS = ".safetensors"
COUNTER = "num_batches_tracked"
OPEN = 4.0
"""Bias at which a squeeze-and-excitation's gate lets 98 % through."""


def load_backbone(network: Classifier, weights: Path) -> None:
    """Load a trunk with timm's parameter names; raises `ValueError` if it does not fit."""
    _refuse_misfit(weights, *_load(network.backbone, trunk_of(read_weights(weights))))


def load_whole(network: Classifier, weights: Path) -> None:
    """Load backbone and head from a run's checkpoint; raises `ValueError` if they do not fit.

    A network that answers by its cells takes over those of a run that drew outlines with them, and no more.
    """
    _refuse_misfit(weights, *_load(network, _whole(network, weights)))


def load_mean(network: Classifier, *checkpoints: Path) -> None:
    """Load the mean of several runs' checkpoints (a uniform soup, Wortsman et al. 2022); raises as `load_whole` does.

    It answers well where the runs went on from the same weights, so that no better ones lie far off between them.
    """
    several = [_whole(network, each) for each in checkpoints]
    for each, tensors in zip(checkpoints, several, strict=True):
        _refuse_misfit(each, *_load(network, tensors))
    names = [name for name in several[0] if not name.endswith(COUNTER)]
    _load(network, {name: torch.stack([each[name] for each in several]).mean(dim=0) for name in names})


def _whole(network: Classifier, weights: Path) -> dict[str, Tensor]:
    tensors = read_weights(weights)
    if network.cells is not None and not any(name.startswith(CELLS) for name in tensors):
        drawn = {} if weights.suffix == SAFETENSORS else checkpoint.load(weights).get("outline", {})
        tensors |= {f"{CELLS}{name}": value for name, value in drawn.items()}
    return tensors


def load_convolutions(network: Classifier, weights: Path) -> None:
    """Load the trunk of an EfficientNet-Lite into the EfficientNet of the same widths (B0 for Lite0).

    Lite lacks the squeeze-and-excitation, so those start near identity: the gate nearly open, whatever it sees. Lite's
    ReLU6 is not taken over. Raises `ValueError` if anything else is missing or left over.
    """
    missing, unexpected = _load(network.backbone, trunk_of(read_weights(weights)))
    gates = [module for name, module in network.backbone.named_modules() if name.endswith(".se")]
    _refuse_misfit(weights, [name for name in missing if ".se." not in name], unexpected)
    if not gates:
        raise ValueError(f"{weights.name} fits as it is: the network has no squeeze-and-excitation to open")
    for gate in gates:
        _open(gate)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors or pth file, or of the checkpoint a run leaves; never pickled code."""
    if path.suffix == SAFETENSORS:
        tensors: dict[str, Tensor] = safetensors.torch.load_file(path)
        return tensors
    loaded: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    inner = next((loaded[key] for key in ("network", "state_dict", "model") if key in loaded), loaded)
    return {name.removeprefix("module."): value for name, value in inner.items() if isinstance(value, Tensor)}


def trunk_of(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the trunk alone, under timm's names."""
    return dict(_trunk_of(tensors))


def _trunk_of(tensors: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    ours = any(name.startswith("backbone.") for name in tensors)
    for name, value in tensors.items():
        if name.startswith("backbone."):
            yield name.removeprefix("backbone."), value
        elif not ours and not name.startswith(CLASSIFIERS):
            yield name, value


def _load(module: nn.Module, tensors: dict[str, Tensor]) -> tuple[list[str], list[str]]:
    """Names that are missing and unexpected; counters of batches seen may be missing."""
    try:
        missing, unexpected = module.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise ValueError(" ".join(str(error).split())[:300]) from None
    return [name for name in missing if not name.endswith(COUNTER)], unexpected


def _refuse_misfit(weights: Path, missing: list[str], unexpected: list[str]) -> None:
    if missing or unexpected:
        raise ValueError(f"{weights.name} does not fit: missing {missing[:3]}, unexpected {unexpected[:3]}")


def _open(gate: nn.Module) -> None:
    expand = gate.get_submodule("conv_expand")
    with torch.no_grad():
        expand.get_parameter("weight").mul_(0.01)
        expand.get_parameter("bias").fill_(OPEN)
