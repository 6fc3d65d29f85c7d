"""A run's explain graph: its layers by name, and the closed form that its gradients must meet."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch

from training.errors import ParityError
from training.gradient.explain import LOGITS
from training.gradient.files import write_explain
from training.gradient.forward import Forward
from training.gradient.layers import default_layers
from training.networks.classifier import Classifier

LAST = "last"
NAMES = (LAST, "finer")
"""The feature map that is pooled, and the last one of the next finer resolution."""
BATCH_SIZES = (1, 8)

Slices = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Targets = npt.NDArray[np.int64]


def export_explain(network: Classifier, model_path: Path, slices: Slices, tolerance: float) -> Path:
    """Write `explain.onnx` beside the model, or raise `ParityError` and leave nothing."""
    layers = default_layers(Forward(onnx.load(model_path)), LOGITS)
    path = write_explain(model_path, dict(zip(NAMES, layers, strict=False)))
    try:
        compare_explain(network, path, slices, tolerance)
    except ParityError:
        path.unlink()
        raise
    return path


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
    """Logits and gradients by torch, from the graph's own activations: both then break ties of a pooling alike."""
    features = torch.from_numpy(activations).requires_grad_()
    logits = network.classify(features).logits
    (gradients,) = torch.autograd.grad(logits.gather(1, torch.from_numpy(target)[:, None]).sum(), features)
    return logits.detach().numpy(), gradients.numpy()


def explained_logits(path: Path, slices: Slices) -> npt.NDArray[np.float32]:
    """The explain graph's own logits (N, classes), which must be the model's."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run([LOGITS], {"image": slices, "target": np.full(len(slices), -1, np.int64)})
    return np.asarray(logits)
