"""The graph to explain, read-only: its nodes in order and what is known of its tensors before it runs."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, inliner, numpy_helper, shape_inference, version_converter

from training.errors import GradientError

Dim = int | str | None
"""A size that is fixed, a size with a name that is fixed a run, or one about which nothing is known."""
Shape = tuple[Dim, ...]
Constant = npt.NDArray[np.generic]

OLDEST_OPSET = 18
"""Older graphs are converted to it; from here on reductions and pads take their axes as inputs."""
BATCH = "N"
FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
SCOPES = "pkg.torch.onnx.name_scopes"


@dataclass(frozen=True)
class Node:
    """One operator of the graph; an operator of a foreign domain carries the domain in its name."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    scopes: tuple[str, ...]

    def integer(self, name: str, default: int) -> int:
        """An attribute that is one integer."""
        return int(self.attributes.get(name, default))

    def integers(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """An attribute that is a list of integers."""
        return tuple(int(item) for item in self.attributes.get(name, default))

    def number(self, name: str, default: float) -> float:
        """An attribute that is one number."""
        return float(self.attributes.get(name, default))

    def text(self, name: str, default: str) -> str:
        """An attribute that is a word."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else str(value)


class Forward:
    """A model ready to be differentiated: no local functions, opset 18 or later, shapes inferred."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = _prepare(model)
        self.nodes = tuple(_read_node(node) for node in self.model.graph.node)
        self._constants = {weight.name: weight for weight in self.model.graph.initializer}
        self._constants |= {node.output[0]: node.attribute[0].t for node in self.model.graph.node if _is_tensor(node)}

    @cached_property
    def _types(self) -> dict[str, onnx.TypeProto.Tensor]:
        graph = self.model.graph
        values = (*graph.value_info, *graph.input, *graph.output)
        return {value.name: value.type.tensor_type for value in values}

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the graph's outputs."""
        return tuple(output.name for output in self.model.graph.output)

    @property
    def inputs(self) -> tuple[onnx.ValueInfoProto, ...]:
        """The inputs a caller must give."""
        return tuple(value for value in self.model.graph.input if value.name not in self._constants)

    def nodes_behind(self, *tensors: str) -> list[Node]:
        """The nodes that `tensors` are computed by, in their order."""
        wanted, kept = set(tensors), []
        for node in reversed(self.nodes):
            if wanted & set(node.outputs):
                kept.append(node)
                wanted |= set(node.inputs)
        return kept[::-1]

    def shape(self, tensor: str) -> Shape | None:
        """The shape of `tensor`; None where not even its rank is known."""
        if tensor in self._constants:
            return tuple(self._constants[tensor].dims)
        if tensor not in self._types or not self._types[tensor].HasField("shape"):
            return None
        return tuple(_read_dim(dim) for dim in self._types[tensor].shape.dim)

    def element_type(self, tensor: str) -> int:
        """ONNX's number of the element type; `UNDEFINED` where it is not known."""
        if tensor in self._constants:
            return int(self._constants[tensor].data_type)
        return int(self._types[tensor].elem_type) if tensor in self._types else TensorProto.UNDEFINED

    def value(self, tensor: str) -> Constant | None:
        """The value of a tensor that no input can change; None for any other."""
        weight = self._constants.get(tensor)
        return None if weight is None else numpy_helper.to_array(weight)


def differentiable(forward: Forward, tensor: str) -> bool:
    """Whether a gradient can arrive at `tensor`: it holds floats, or nobody can tell what it holds."""
    return forward.element_type(tensor) in {*FLOATS, TensorProto.UNDEFINED}


def _prepare(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        model = inliner.inline_local_functions(model) if model.functions else model
        model = _convert(model)
        _name_batch(model)
        return shape_inference.infer_shapes(model, data_prop=True)
    except (RuntimeError, ValueError) as error:
        raise GradientError(f"the graph cannot be read: {str(error).strip().splitlines()[0]}") from error


def _convert(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in opset 18 or later."""
    opset = next((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), OLDEST_OPSET)
    if opset < OLDEST_OPSET:
        return version_converter.convert_version(model, OLDEST_OPSET)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _name_batch(model: onnx.ModelProto) -> None:
    """Give a nameless batch size its name, so that it can be followed through the graph."""
    weights = {weight.name for weight in model.graph.initializer}
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name not in weights and dims and _read_dim(dims[0]) is None:
            dims[0].dim_param = BATCH


def _read_dim(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    return dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None


def _read_node(node: onnx.NodeProto) -> Node:
    plain = node.domain in {"", "ai.onnx"}
    return Node(
        operator=node.op_type if plain else f"{node.domain}.{node.op_type}",
        name=node.name or node.output[0],
        inputs=tuple(node.input),
        outputs=tuple(node.output),
        attributes={attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute},
        scopes=_read_scopes(node),
    )


def _read_scopes(node: onnx.NodeProto) -> tuple[str, ...]:
    """The modules of the torch network a node came from, outermost first."""
    written = next((entry.value for entry in node.metadata_props if entry.key == SCOPES), "[]")
    return tuple(str(scope) for scope in ast.literal_eval(written) if scope)


def _is_tensor(node: onnx.NodeProto) -> bool:
    return node.op_type == "Constant" and node.attribute[0].name == "value"
