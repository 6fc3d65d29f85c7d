"""Sums and means over axes: the gradient is spread evenly over what was taken together."""

import math

import numpy as np

from training.gradient.rules.rule import Rule
from training.gradient.tape import Step, Tape


def reduce_sum(tape: Tape, step: Step) -> str:
    """Every summand gets the gradient."""
    return _spread(tape, step, step.gradient, _axes(tape, step))


def reduce_mean(tape: Tape, step: Step) -> str:
    """Every one of n elements gets 1 / n of the gradient."""
    axes = _axes(tape, step)
    return _spread(tape, step, _share(tape, step, axes), axes)


def global_average_pool(tape: Tape, step: Step) -> str:
    """Every place of a map gets 1 / (h · w) of the gradient."""
    axes = tuple(range(2, len(tape.shape(step.x))))
    return tape.emit("Expand", _share(tape, step, axes), tape.shape_of(step.x))


def _axes(tape: Tape, step: Step) -> tuple[int, ...]:
    """The axes that are reduced, counted from 0."""
    rank = len(tape.shape(step.x))
    given = tape.fixed(step.node.inputs[1]) if len(step.node.inputs) > 1 and step.node.inputs[1] else np.array([])
    if not given.size:
        return () if step.node.integer("noop_with_empty_axes", 0) else tuple(range(rank))
    return tuple(sorted(int(axis) % rank for axis in given))


def _share(tape: Tape, step: Step, axes: tuple[int, ...]) -> str:
    """The gradient divided by how many elements were taken together."""
    sizes = [tape.shape(step.x)[axis] for axis in axes]
    fixed = [size for size in sizes if isinstance(size, int)]
    if len(fixed) == len(sizes):
        return tape.emit("Mul", step.gradient, tape.floats(1 / math.prod(fixed)))
    counts = (tape.emit("Cast", tape.emit("Size", tensor), to=tape.element_type(step.x)) for tensor in (step.x, step.y))
    return tape.emit("Div", step.gradient, tape.emit("Div", *counts))


def _spread(tape: Tape, step: Step, gradient: str, axes: tuple[int, ...]) -> str:
    if axes and not step.node.integer("keepdims", 1):
        gradient = tape.emit("Unsqueeze", gradient, tape.integers(*axes))
    return tape.emit("Expand", gradient, tape.shape_of(step.x))


RULES: dict[str, Rule] = {
    "GlobalAveragePool": global_average_pool,
    "ReduceMean": reduce_mean,
    "ReduceSum": reduce_sum,
}
