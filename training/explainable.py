"""A run's explain graphs: one a layer, by names that say what it is, and the closed form that they must meet."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch

from service.contract.card import EXPLAIN_FILE
from training.errors import ParityError
from training.gradient.explain import LOGITS
from training.gradient.files import write_explain
from training.gradient.forward import Forward
from training.gradient.layers import default_layers
from training.networks.classifier import Classifier

LAST = "last"
FINER = "finer"
FILES: Mapping[str, str] = MappingProxyType({LAST: EXPLAIN_FILE, FINER: "explain.finer.onnx"})
"""The feature map that is pooled and the last one of the next finer resolution, each with its graph's file."""
BATCH_SIZES = (1, 8)

Slices = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Targets = npt.NDArray[np.int64]


def export_explain(network: Classifier, model_path: Path, slices: Slices, tolerance: float) -> dict[str, Path]:
    """Write the explain graph of each layer beside the model, or raise `ParityError` and leave nothing."""
    graphs = write_explains(model_path)
    try:
        compare_explain(network, graphs[LAST], slices, tolerance)
        compare_logits(graphs, slices, tolerance)
    except ParityError:
        forget_explains(model_path.parent)
        raise
    return graphs


def write_explains(model_path: Path) -> dict[str, Path]:
    """The explain graph of each default layer by the layer's name, written beside the model."""
    tensors = default_layers(Forward(onnx.load(model_path)), LOGITS)
    return {
        layer: write_explain(model_path, {layer: tensor}, model_path.with_name(name))
        for (layer, name), tensor in zip(FILES.items(), tensors, strict=False)
    }


def explains_in(folder: Path) -> dict[str, Path]:
    """The explain graphs there are in a run or bundle, by layer."""
    return {layer: folder / name for layer, name in FILES.items() if (folder / name).exists()}


def forget_explains(run: Path) -> None:
    """Delete explain graphs, which are worth nothing beside another model than their own."""
    for path in explains_in(run).values():
        path.unlink()


def compare_explain(network: Classifier, path: Path, slices: Slices, tolerance: float) -> float:
    """Largest relative difference between the graph's last layer and what it must be, on `slices`.

    Raises `ParityError` beyond `tolerance`.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    demand = _closed_form if network.pooled else _by_autograd
    largest = 0.0
    for size in BATCH_SIZES:
        for start in range(0, len(slices), size):
            batch = np.ascontiguousarray(slices[start : start + size])
            target = np.arange(len(batch), dtype=np.int64) % len(network.head.weight)
            names = [LOGITS, f"activations:{LAST}", f"gradients:{LAST}"]
            logits, activations, gradients = session.run(names, {"image": batch, "target": target})
            pairs = zip(demand(network, activations, target), (logits, gradients), strict=True)
            largest = float(np.max([largest, *(_difference(*pair) for pair in pairs)]))
    if not largest <= tolerance:
        raise ParityError(f"the explain graph differs from the closed form by {largest:.2e} of its scale")
    return largest


def _difference(wanted: Floats, got: Floats) -> float:
    """Largest difference as a share of the largest value; a gradient that is 0 everywhere must be met as such."""
    return float(np.abs(wanted - got).max() / max(np.abs(wanted).max(), np.finfo(np.float32).tiny))


def _closed_form(network: Classifier, activations: Floats, target: Targets) -> tuple[Floats, Floats]:
    """Logits and gradients by the class-activation map.

    Where a linear head reads the pooled last feature map, that map's mean is what the head was given, and the
    gradient of a class's logit is the class's weights over h·w everywhere (Zhou et al. 2016; Selvaraju et al. 2017,
    §3.1).
    """
    weights, bias = (each.detach().numpy() for each in (network.head.weight, network.head.bias))
    if activations.shape[1] != weights.shape[1]:
        raise ParityError(f"the last feature map has {activations.shape[1]} channels, the head reads another")
    places = activations.shape[2] * activations.shape[3]
    gradients = np.broadcast_to(weights[target][:, :, None, None] / places, activations.shape)
    return activations.mean(axis=(2, 3)) @ weights.T + bias, gradients


def _by_autograd(network: Classifier, activations: Floats, target: Targets) -> tuple[Floats, Floats]:
    """Logits and gradients by torch, from the graph's own activations: both then break ties of a pooling alike.

    Cells are computed by each: two likeliest ones as near as rounding would be told apart, and the export refused.
    """
    features = torch.from_numpy(activations).requires_grad_()
    logits = network.classify(features).logits
    (gradients,) = torch.autograd.grad(logits.gather(1, torch.from_numpy(target)[:, None]).sum(), features)
    return logits.detach().numpy(), gradients.numpy()


def compare_logits(graphs: Mapping[str, Path], slices: Slices, tolerance: float) -> None:
    """Raise `ParityError` unless every layer's graph gives the last one's logits, up to `tolerance` of their scale."""
    wanted = explained_logits(graphs[LAST], slices)
    for layer, path in graphs.items():
        difference = float(np.abs(explained_logits(path, slices) - wanted).max() / np.abs(wanted).max())
        if not difference <= tolerance:
            raise ParityError(f"the logits beside layer {layer} differ by {difference:.2e} of their scale")


def explained_logits(path: Path, slices: Slices) -> npt.NDArray[np.float32]:
    """The explain graph's own logits (N, classes), which must be the model's."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run([LOGITS], {"image": slices, "target": np.full(len(slices), -1, np.int64)})
    return np.asarray(logits)
