"""Torch networks, traced as the export traces them, and torch's float64 answer to what the explain graph is asked."""

import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn

from tests.training.gradient.graphs import Array

KINKS: Mapping[type[nn.Module], tuple[float, ...]] = {nn.ReLU: (0,), nn.ReLU6: (0, 6)}
"""Where an activation's slope jumps: there float32 and float64 may honestly disagree."""
NEAR = 1e-6
"""Distance to a kink, as a share of the layer's largest value, that float32 cannot tell from 0; 0 itself it can."""


class Reference(NamedTuple):
    """Logits, activations and gradients in float64; `steady` (N,) where no activation sits on a kink."""

    logits: Array
    activations: Array
    gradients: Array
    steady: npt.NDArray[np.bool_]


def trace(network: nn.Module, size: int) -> onnx.ModelProto:
    """The network on uint8 slices (N, size, size) as a graph from `image` to `logits`."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
        program = torch.onnx.export(
            network.eval(),
            (torch.zeros(2, size, size, dtype=torch.uint8),),
            input_names=["image"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("N")},),
            opset_version=20,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    return model


def logits_of(network: nn.Module, slices: Tensor) -> Tensor:
    """The network's logits, whether or not it gives its embedding too."""
    output = network(slices)
    found: Tensor = output if isinstance(output, Tensor) else output.logits
    return found


def refer(network: nn.Module, layer: nn.Module, slices: Array, targets: Array) -> Reference:
    """What the graph must answer; leaves `network` in float64."""
    network.double().eval()
    kept: list[Tensor] = []
    steady = torch.ones(len(slices), dtype=torch.bool)

    def keep(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    def watch(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        flat = inputs[0].detach().flatten(1)
        for kink in KINKS[type(module)] if kept else ():
            distance = (flat - kink).abs()
            steady.logical_and_(~((distance > 0) & (distance < NEAR * flat.abs().amax())).any(1))

    hooks = [layer.register_forward_hook(keep)]
    hooks += [module.register_forward_pre_hook(watch) for module in network.modules() if type(module) in KINKS]
    logits = logits_of(network, torch.from_numpy(slices))
    chosen = torch.from_numpy(targets)
    chosen = torch.where(chosen < 0, logits.argmax(1), chosen)
    logits.gather(1, chosen[:, None]).sum().backward()
    for hook in hooks:
        hook.remove()
    assert kept[0].grad is not None
    answer, activations, gradients = (tensor.detach().numpy() for tensor in (logits, kept[0], kept[0].grad))
    return Reference(answer, activations, gradients, steady.numpy())
