"""Operators that move values without changing them."""

from itertools import accumulate

import numpy as np

from training.gradient.rules.rule import Rule, unbroadcast
from training.gradient.tape import Step, Tape, Unsupported


def reshape(tape: Tape, step: Step) -> str:
    """Back to the shape it came from."""
    return tape.emit("Reshape", step.gradient, tape.shape_of(step.x))


def transpose(tape: Tape, step: Step) -> str:
    """Back to the order it came from."""
    rank = len(tape.shape(step.x))
    order = step.node.integers("perm", tuple(reversed(range(rank))))
    return tape.emit("Transpose", step.gradient, perm=[order.index(axis) for axis in range(rank)])


def concat(tape: Tape, step: Step) -> str:
    """Every part gets its own stretch of the gradient."""
    axis = step.node.integer("axis", 0)
    ends = list(accumulate(tape.lengths(name, axis)[0] for name in step.node.inputs))
    start = ends[step.position] - tape.lengths(step.x, axis)[0]
    return _cut(tape, step.gradient, {axis: (start, ends[step.position])})


def split(tape: Tape, step: Step) -> str:
    """The gradient of one part, zeros where the other parts were."""
    axis = step.node.integer("axis", 0)
    ends = list(accumulate(tape.lengths(name, axis)[0] for name in step.node.outputs))
    start = ends[step.output] - tape.lengths(step.y, axis)[0]
    return _surround(tape, step.gradient, {axis: (start, ends[-1] - ends[step.output])})


def cut(tape: Tape, step: Step) -> str:
    """Zeros where `Slice` cut away."""
    starts, ends, axes, steps = _slice_inputs(tape, step)
    if any(stride != 1 for stride in steps):
        raise Unsupported("its steps are not 1")
    margins = {}
    for start, end, axis in zip(starts, ends, axes, strict=True):
        (length,) = tape.lengths(step.x, axis)
        first, last, _ = slice(start, end).indices(length)
        margins[axis] = (first, length - last)
    return _surround(tape, step.gradient, margins)


def pad(tape: Tape, step: Step) -> str:
    """Cut away what `Pad` put around."""
    if (mode := step.node.text("mode", "constant")) != "constant":
        raise Unsupported(f"its mode is {mode}")
    rank = len(tape.shape(step.x))
    widths = _integers(tape, step.node.inputs[1])
    axes = _integers(tape, step.node.inputs[3]) if len(step.node.inputs) > 3 else [*range(rank)]
    before = {axis % rank: width for axis, width in zip(axes, widths, strict=False) if width}
    after = {axis % rank: width for axis, width in zip(axes, widths[len(axes) :], strict=True) if width}
    if min(widths, default=0) < 0:
        raise Unsupported("it takes away instead of adding")
    changed = sorted({*before, *after})
    starts = {axis: before.get(axis, 0) for axis in changed}
    return _cut(tape, step.gradient, {a: (starts[a], starts[a] + tape.lengths(step.x, a)[0]) for a in changed})


def expand(tape: Tape, step: Step) -> str:
    """Sum over the copies; the shape it was stretched to must be known."""
    return unbroadcast(tape, step.gradient, step)


def _cut(tape: Tape, tensor: str, spans: dict[int, tuple[int, int]]) -> str:
    starts, ends = zip(*spans.values(), strict=True)
    return tape.emit("Slice", tensor, tape.integers(*starts), tape.integers(*ends), tape.integers(*spans))


def _surround(tape: Tape, tensor: str, margins: dict[int, tuple[int, int]]) -> str:
    before, after = zip(*margins.values(), strict=True)
    return tape.emit("Pad", tensor, tape.integers(*before, *after), "", tape.integers(*margins))


def _slice_inputs(tape: Tape, step: Step) -> list[list[int]]:
    """Starts, ends, axes and steps."""
    starts, ends, *rest = (_integers(tape, name) for name in step.node.inputs[1:])
    axes = rest[0] if rest else [*range(len(starts))]
    return [starts, ends, axes, rest[1] if len(rest) > 1 else [1] * len(starts)]


def _integers(tape: Tape, tensor: str) -> list[int]:
    return [int(value) for value in np.atleast_1d(tape.fixed(tensor))]


RULES: dict[str, Rule] = {
    "Expand": expand,
    "Flatten": reshape,
    "Pad": pad,
    "Reshape": reshape,
    "Slice": cut,
    "Split": split,
    "Squeeze": reshape,
    "Transpose": transpose,
    "Unsqueeze": reshape,
}
BY_ANY: dict[str, Rule] = {"Concat": concat}
