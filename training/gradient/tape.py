"""What is written behind the forward graph: the nodes and constants of the backward pass."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from training.gradient.forward import Forward, Node, Shape


class Unsupported(Exception):
    """A form of an operator that no rule covers; the text says which."""


class Step(NamedTuple):
    """One way back through a node: from the gradient of one of its outputs to that of one of its inputs."""

    node: Node
    output: int
    position: int
    gradient: str

    @property
    def x(self) -> str:
        """The input whose gradient is wanted."""
        return self.node.inputs[self.position]

    @property
    def y(self) -> str:
        """The output whose gradient is known."""
        return self.node.outputs[self.output]


class Tape:
    """Nodes in the order in which they run, and the constants they read; all names begin with `gradient/`."""

    def __init__(self, forward: Forward, element_type: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.indices: dict[str, str] = {}
        """By a MaxPool's output, the name under which it must give the places of its maxima as well."""
        self._forward = forward
        self._dtype = helper.tensor_dtype_to_np_dtype(element_type)
        self._constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}
        self._shapes: dict[str, str] = {}

    @property
    def constants(self) -> list[onnx.TensorProto]:
        """Every constant that was asked for, once."""
        return list(self._constants.values())

    def emit(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Write one node and return the name of its output."""
        name = f"gradient/{len(self.nodes)}/{operator}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def constant(self, value: npt.NDArray[np.generic]) -> str:
        """The name of a tensor with this value."""
        key = (str(value.dtype), value.shape, value.tobytes())
        if key not in self._constants:
            self._constants[key] = numpy_helper.from_array(value, f"gradient/constant/{len(self._constants)}")
        return self._constants[key].name

    def floats(self, value: npt.ArrayLike) -> str:
        """A constant in the graph's own float type."""
        return self.constant(np.asarray(value, self._dtype))

    def integers(self, *values: int) -> str:
        """A constant of shape (len(values),), as axes and shapes are given."""
        return self.constant(np.array(values, np.int64))

    def shape_of(self, tensor: str) -> str:
        """The shape of `tensor` at run time."""
        if tensor not in self._shapes:
            self._shapes[tensor] = self.emit("Shape", tensor)
        return self._shapes[tensor]

    def indices_of(self, pool: str) -> str:
        """The places of the maxima of the MaxPool whose output is `pool`."""
        return self.indices.setdefault(pool, f"gradient/indices/{pool}")

    def shape(self, tensor: str) -> Shape:
        """The shape of `tensor` as far as it is known beforehand; raises `Unsupported` without a rank."""
        own = next((tuple(value.dims) for value in self._constants.values() if value.name == tensor), None)
        shape = self._forward.shape(tensor) if own is None else own
        if shape is None:
            raise Unsupported(f"the rank of {tensor!r} is not known")
        return shape

    def lengths(self, tensor: str, *axes: int) -> tuple[int, ...]:
        """Fixed sizes of `tensor` along `axes`; raises `Unsupported` where one is free."""
        shape = self.shape(tensor)
        sizes = tuple(size for axis in axes if isinstance(size := shape[axis], int))
        if len(sizes) != len(axes):
            raise Unsupported(f"the shape {shape} of {tensor!r} must be fixed along {axes}")
        return sizes

    def element_type(self, tensor: str) -> int:
        """ONNX's number of the element type."""
        return self._forward.element_type(tensor)

    def fixed(self, tensor: str) -> npt.NDArray[np.generic]:
        """The value of an input that must be a constant; raises `Unsupported` otherwise."""
        value = self._forward.value(tensor)
        if value is None:
            raise Unsupported(f"{tensor!r} is computed while the graph runs")
        return value
