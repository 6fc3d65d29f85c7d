"""Tiny ONNX graphs with one operator under test, torch's float64 gradient of the same, and how to run both."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

Array = npt.NDArray[Any]
CLASSES = 3
TARGETS = np.array([2, -1, 0], np.int64)


def run(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """All outputs by name, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def classifier(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, Array],
    shape: Sequence[int],
    features: int,
    opset: int = 20,
) -> onnx.ModelProto:
    """`image` (N, *shape) → `layer` → `nodes` → `y` → flattened, times `mix` (features, 3) → `logits`."""
    mix = np.random.default_rng(5).normal(size=(features, CLASSES)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["image"], ["layer"]),
            *nodes,
            helper.make_node("Flatten", ["y"], ["flat"]),
            helper.make_node("MatMul", ["flat", "mix"], ["logits"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", *shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in (dict(constants) | {"mix": mix}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def torch_gradient(function: Callable[[Tensor], Tensor], image: Array) -> Array:
    """What `gradients:layer` must be, from torch's autograd in float64."""
    layer = torch.from_numpy(image.astype(np.float64)).requires_grad_()
    flat = function(layer).flatten(1)
    mix = np.random.default_rng(5).normal(size=(flat.shape[1], CLASSES)).astype(np.float32)
    logits = flat @ torch.from_numpy(mix.astype(np.float64))
    targets = torch.from_numpy(TARGETS)
    chosen = torch.where(targets < 0, logits.argmax(1), targets)
    (gradient,) = torch.autograd.grad(logits.gather(1, chosen[:, None]).sum(), layer)
    return gradient.numpy()


def features_of(function: Callable[[Tensor], Tensor], shape: Sequence[int]) -> int:
    """How many values the function gives a sample."""
    return function(torch.zeros(1, *shape, dtype=torch.float64)).numel()
