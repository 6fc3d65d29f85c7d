"""Walk the graph backwards, from the target's logit to the layers that explain it (reverse-mode differentiation)."""

from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np

from training.errors import GradientError, NoRule
from training.gradient.forward import Forward, Node, differentiable
from training.gradient.rules import BY_ANY, BY_DATA
from training.gradient.tape import Step, Tape, Unsupported

TARGET = "target"
PREDICTED = -1
"""The target that stands for whichever class the logits predict."""


def find_way(forward: Forward, layers: Sequence[str], logits: str) -> set[str]:
    """The tensors through which `layers` act on `logits`, both ends included."""
    after, before = set(layers), {logits}
    for node in forward.nodes:
        if after & set(node.inputs):
            after |= {output for output in node.outputs if differentiable(forward, output)}
    for node in reversed(forward.nodes):
        if before & set(node.outputs):
            before |= set(node.inputs)
    for layer in layers:
        if layer not in before:
            raise GradientError(f"{logits!r} does not depend on layer {layer!r}")
    return after & before


def differentiate(forward: Forward, tape: Tape, way: set[str], logits: str) -> dict[str, str]:
    """Write the backward pass on `tape`; by tensor of the way, the name of d logits[target] / d tensor.

    Raises `NoRule` at the first operator on the way that no rule covers.
    """
    parts: dict[str, list[str]] = {logits: [one_hot(tape, logits)]}
    for node in reversed(forward.nodes):
        for output in range(len(node.outputs)):
            if node.outputs[output] not in parts:
                continue
            gradient = add_up(tape, parts, node.outputs[output])
            for step in _steps(node, output, gradient, way):
                parts.setdefault(step.x, []).append(_back(tape, step, logits))
    return {tensor: add_up(tape, parts, tensor) for tensor in parts}


def one_hot(tape: Tape, logits: str) -> str:
    """1 at each sample's target class, 0 elsewhere: the gradient of the target's logit by the logits (N, classes)."""
    predicted = tape.emit("ArgMax", logits, axis=1, keepdims=0)
    open_ = tape.emit("Less", TARGET, tape.constant(np.array(0, np.int64)))
    target = tape.emit("Where", open_, predicted, TARGET)
    classes = tape.emit("Shape", logits, start=1, end=2)
    return tape.emit("OneHot", target, classes, tape.floats([0, 1]), axis=1)


def add_up(tape: Tape, parts: dict[str, list[str]], tensor: str) -> str:
    """The sum of what arrived at `tensor` on all ways, written once."""
    parts[tensor] = [reduce(lambda left, right: tape.emit("Add", left, right), parts[tensor])]
    return parts[tensor][0]


def _steps(node: Node, output: int, gradient: str, way: set[str]) -> Iterator[Step]:
    for position, name in enumerate(node.inputs):
        if name in way:
            yield Step(node, output, position, gradient)


def _back(tape: Tape, step: Step, logits: str) -> str:
    rule = BY_ANY.get(step.node.operator) or BY_DATA.get(step.node.operator)
    try:
        if rule is None:
            raise Unsupported("there is no rule for this operator")
        if step.position and step.node.operator in BY_DATA:
            raise Unsupported(f"its input {step.x!r} depends on the image")
        return rule(tape, step)
    except Unsupported as error:
        node = f"{step.node.operator} (node {step.node.name!r})"
        raise NoRule(f"no gradient passes {node}, which lies between the layer and {logits!r}: {error}") from None
