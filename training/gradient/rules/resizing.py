"""Resizing is linear and works one axis at a time: its gradient is the product with each axis's matrix."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from training.gradient.forward import Node
from training.gradient.rules.rule import Rule
from training.gradient.tape import Step, Tape, Unsupported

IMAGE_AXES = (2, 3)


def resize(tape: Tape, step: Step) -> str:
    """Mᵧᵀ · G · Mₓ, where Mᵧ and Mₓ resize one column and one row."""
    if step.node.text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        raise Unsupported("it crops")
    sizes = enumerate(zip(tape.shape(step.x), tape.shape(step.y), strict=True))
    changed = [axis for axis, (old, new) in sizes if old != new and isinstance(new, int)]
    if not set(changed) <= set(IMAGE_AXES):
        raise Unsupported(f"it changes the axes {changed}")
    gradient = step.gradient
    if 2 in changed:
        gradient = tape.emit("MatMul", tape.floats(_matrix(tape, step, 2).T), gradient)
    return tape.emit("MatMul", gradient, tape.floats(_matrix(tape, step, 3))) if 3 in changed else gradient


def _matrix(tape: Tape, step: Step, axis: int) -> npt.NDArray[np.float32]:
    """What the operator makes of the unit vectors along `axis`: (outputs, inputs)."""
    (inputs,), (outputs,) = tape.lengths(step.x, axis), tape.lengths(step.y, axis)
    scales, sizes = _wanted(tape, step.node, axis, (inputs, outputs))
    attributes: dict[str, Any] = {name: value for name, value in step.node.attributes.items() if name != "axes"}
    node = helper.make_node("Resize", ["x", "", *(["scales"] if sizes is None else ["", "sizes"])], ["y"], **attributes)
    graph = helper.make_graph([node], "axis", _floats("x", "scales") if sizes is None else _floats("x"), _floats("y"))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    feeds = {"x": np.eye(inputs, dtype=np.float32)} | ({"scales": scales} if sizes is None else {"sizes": sizes})
    (columns,) = ReferenceEvaluator(model).run(None, feeds)
    return np.asarray(columns, np.float32).T


def _wanted(
    tape: Tape, node: Node, axis: int, lengths: tuple[int, int]
) -> tuple[npt.NDArray[np.float32] | None, npt.NDArray[np.int64] | None]:
    """The scale of one axis where the node is told scales, else its size."""
    if len(node.inputs) > 2 and node.inputs[2]:
        given = tape.fixed(node.inputs[2])
        axes = node.integers("axes", tuple(range(given.size)))
        return np.array([1, given[axes.index(axis)]], np.float32), None
    return None, np.array(lengths, np.int64)


def _floats(*names: str) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names]


RULES: dict[str, Rule] = {"Resize": resize}
