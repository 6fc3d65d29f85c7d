"""Functions of each element alone, and softmax."""

import math
from collections.abc import Callable

from training.gradient.rules.rule import Rule, keep_where
from training.gradient.tape import Step, Tape, Unsupported


def relu(tape: Tape, step: Step) -> str:
    """Pass where the output is positive."""
    return keep_where(tape, step.gradient, tape.emit("Greater", step.y, tape.floats(0)), tape.element_type(step.x))


def clip(tape: Tape, step: Step) -> str:
    """Pass strictly inside the bounds, as torch's hardtanh and ReLU6 do."""
    bounds = zip(("Greater", "Less"), step.node.inputs[1:], strict=False)
    inside = [tape.emit(operator, step.y, bound) for operator, bound in bounds if bound]
    if not inside:
        return step.gradient
    condition = inside[0] if len(inside) == 1 else tape.emit("And", *inside)
    return keep_where(tape, step.gradient, condition, tape.element_type(step.x))


def hard_sigmoid(tape: Tape, step: Step) -> str:
    """Slope alpha strictly between 0 and 1."""
    above, below = tape.emit("Greater", step.y, tape.floats(0)), tape.emit("Less", step.y, tape.floats(1))
    sloped = tape.emit("Mul", step.gradient, tape.floats(step.node.number("alpha", 0.2)))
    return keep_where(tape, sloped, tape.emit("And", above, below), tape.element_type(step.x))


def softmax(tape: Tape, step: Step) -> str:
    """Y · (G - sum(G · Y)) along the axis."""
    weighted = tape.emit("Mul", step.gradient, step.y)
    total = tape.emit("ReduceSum", weighted, tape.integers(step.node.integer("axis", -1)), keepdims=1)
    return tape.emit("Sub", weighted, tape.emit("Mul", step.y, total))


def identity(tape: Tape, step: Step) -> str:  # noqa: ARG001 - every rule has this form
    """Nothing happens to the gradient."""
    return step.gradient


def dropout(tape: Tape, step: Step) -> str:
    """Nothing happens outside training."""
    if len(step.node.inputs) > 2 and step.node.inputs[2] and tape.fixed(step.node.inputs[2]).any():
        raise Unsupported("it is in training mode")
    return step.gradient


def cast(tape: Tape, step: Step) -> str:
    """Back to the type it came from."""
    return tape.emit("Cast", step.gradient, to=tape.element_type(step.x))


def _leaky_relu(tape: Tape, step: Step) -> str:
    positive = tape.emit("Greater", step.x, tape.floats(0))
    return tape.emit("Where", positive, tape.floats(1), tape.floats(step.node.number("alpha", 0.01)))


def _prelu(tape: Tape, step: Step) -> str:
    return tape.emit("Where", tape.emit("Greater", step.x, tape.floats(0)), tape.floats(1), step.node.inputs[1])


def _elu(tape: Tape, step: Step) -> str:
    below = tape.emit("Add", step.y, tape.floats(step.node.number("alpha", 1.0)))
    return tape.emit("Where", tape.emit("Greater", step.x, tape.floats(0)), tape.floats(1), below)


def _sigmoid(tape: Tape, step: Step) -> str:
    return tape.emit("Mul", step.y, tape.emit("Sub", tape.floats(1), step.y))


def _hard_swish(tape: Tape, step: Step) -> str:
    middle = tape.emit("Add", tape.emit("Div", step.x, tape.floats(3)), tape.floats(0.5))
    above = tape.emit("Where", tape.emit("Less", step.x, tape.floats(3)), middle, tape.floats(1))
    return tape.emit("Where", tape.emit("Greater", step.x, tape.floats(-3)), above, tape.floats(0))


def _tanh(tape: Tape, step: Step) -> str:
    return tape.emit("Sub", tape.floats(1), tape.emit("Mul", step.y, step.y))


def _softplus(tape: Tape, step: Step) -> str:
    return tape.emit("Sigmoid", step.x)


def _erf(tape: Tape, step: Step) -> str:
    bell = tape.emit("Exp", tape.emit("Neg", tape.emit("Mul", step.x, step.x)))
    return tape.emit("Mul", bell, tape.floats(2 / math.sqrt(math.pi)))


def _exp(tape: Tape, step: Step) -> str:  # noqa: ARG001 - every slope has this form
    return step.y


def _log(tape: Tape, step: Step) -> str:
    return tape.emit("Reciprocal", step.x)


def _neg(tape: Tape, step: Step) -> str:  # noqa: ARG001 - every slope has this form
    return tape.floats(-1)


def _abs(tape: Tape, step: Step) -> str:
    return tape.emit("Sign", step.x)


def _sqrt(tape: Tape, step: Step) -> str:
    return tape.emit("Div", tape.floats(0.5), step.y)


def _reciprocal(tape: Tape, step: Step) -> str:
    return tape.emit("Neg", tape.emit("Mul", step.y, step.y))


def _times(slope: Callable[[Tape, Step], str]) -> Rule:
    """The rule of a function whose slope at each element is what `slope` writes."""
    return lambda tape, step: tape.emit("Mul", step.gradient, slope(tape, step))


SLOPES = {
    "Abs": _abs,
    "Elu": _elu,
    "Erf": _erf,
    "Exp": _exp,
    "HardSwish": _hard_swish,
    "LeakyRelu": _leaky_relu,
    "Log": _log,
    "Neg": _neg,
    "PRelu": _prelu,
    "Reciprocal": _reciprocal,
    "Sigmoid": _sigmoid,
    "Softplus": _softplus,
    "Sqrt": _sqrt,
    "Tanh": _tanh,
}
RULES: dict[str, Rule] = {operator: _times(slope) for operator, slope in SLOPES.items()} | {
    "Cast": cast,
    "Clip": clip,
    "Dropout": dropout,
    "HardSigmoid": hard_sigmoid,
    "Identity": identity,
    "Relu": relu,
    "Softmax": softmax,
}
