"""A network out of its ONNX graph, in which batch norms are folded into convolutions, ready to be trained on."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError  # onnx raises it
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # what 1-D and 2-D ones, and timm's, have in common

from training.networks.classifier import Classifier


def load_graph(network: Classifier, path: Path) -> None:
    """Load what `python -m training export` wrote; raises `ValueError` if it does not fit.

    A batch norm that was folded comes back as one that only adds the bias; the network answers as the graph does.
    """
    graph = _read(path)
    named = {each.name: torch.from_numpy(np.copy(onnx.numpy_helper.to_array(each))) for each in graph.initializer}
    tensors = named | dict(_biases(graph, named))
    sides = [each.dim_value for each in graph.input[0].type.tensor_type.shape.dim][1:]
    for before, norm, epsilon in _pairs(network, torch.zeros(1, *sides, dtype=torch.uint8)):
        bias = tensors.get(f"{before}.bias")
        if bias is not None and f"{norm}.weight" not in named:
            ones, zeros = torch.ones_like(bias), torch.zeros_like(bias)
            tensors |= {f"{norm}.running_mean": zeros, f"{norm}.running_var": ones, f"{norm}.bias": bias}
            tensors |= {f"{norm}.weight": (ones + epsilon).sqrt(), f"{before}.bias": zeros}
    wanted = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    lacking = [name for name, value in wanted.items() if name not in tensors or tensors[name].shape != value.shape]
    if lacking:
        raise ValueError(f"{path.name} does not fit: missing {lacking[:3]}")
    network.load_state_dict({name: tensors[name] for name in wanted}, strict=False)


def _read(path: Path) -> onnx.GraphProto:
    try:
        return onnx.load(path, format="protobuf").graph
    except DecodeError:
        raise ValueError(f"{path.name} is no ONNX graph") from None


def _biases(graph: onnx.GraphProto, named: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """What each layer adds, under torch's name for it.

    In the graph it may be called after a folded batch norm or after another layer's that is alike, or be left out as 0.
    """
    for node in graph.node:
        weight = named.get(node.input[1]) if node.op_type in {"Conv", "Gemm"} else None
        if weight is not None:
            bias = named[node.input[2]] if len(node.input) > 2 else torch.zeros(len(weight))
            yield f"{node.input[1].removesuffix('.weight')}.bias", bias


@torch.no_grad()
def settle(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give each batch norm the statistics of what reaches it, and change its scale so that answers stay as they are.

    Where it was folded these are lost, and the first step of a training would answer by the batch's own, as the network
    never did. `batches` are slices (N, h, w).
    """
    moments: dict[nn.Module, list[Tensor]] = {}
    for norm, given in _inputs(network, batches, (_BatchNorm,)):
        parts = given.transpose(0, 1).flatten(1).double()
        moments.setdefault(norm, []).append(torch.stack([parts.mean(dim=1), parts.square().mean(dim=1)]))
    for norm, seen in moments.items():
        if isinstance(norm, _BatchNorm):
            _restate(norm, *torch.stack(seen).mean(dim=0))


def _restate(norm: _BatchNorm, mean: Tensor, square: Tensor) -> None:
    """New statistics, and the scale and shift under which they answer as the old ones did."""
    old_mean, old_variance = norm.running_mean, norm.running_var
    if old_mean is None or old_variance is None:
        return
    variance = (square - mean.square()).clamp(min=0)
    scale = norm.weight.double() / (old_variance.double() + norm.eps).sqrt()
    shift = norm.bias.double() + scale * (mean - old_mean.double())
    norm.weight.copy_(scale * (variance + norm.eps).sqrt())
    norm.bias.copy_(shift)
    old_mean.copy_(mean)
    old_variance.copy_(variance)


def _inputs(
    network: nn.Module, batches: Iterable[Tensor], kinds: tuple[type[nn.Module], ...]
) -> Iterator[tuple[nn.Module, Tensor]]:
    """The layers of some kinds, in the order in which the network answers by them, and what each is given."""
    met: list[tuple[nn.Module, Tensor]] = []
    layers = [module for module in network.modules() if isinstance(module, kinds)]
    hooks = [layer.register_forward_pre_hook(lambda layer, given: met.append((layer, given[0]))) for layer in layers]
    training = network.training
    network.eval()
    for slices in batches:
        with torch.no_grad():
            network(slices)
        yield from met
        met.clear()
    network.train(training)
    for hook in hooks:
        hook.remove()


def _pairs(network: nn.Module, slices: Tensor) -> list[tuple[str, str, float]]:
    """Names of the convolutions that a batch norm follows, each with the batch norm's and its epsilon."""
    names = {module: name for name, module in network.named_modules()}
    order = [module for module, _ in _inputs(network, [slices], (nn.Conv2d, _BatchNorm))]
    return [
        (names[layer], names[norm], norm.eps)
        for layer, norm in pairwise(order)
        if isinstance(layer, nn.Conv2d) and isinstance(norm, _BatchNorm)
    ]
