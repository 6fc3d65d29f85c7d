"""Poolings: a mean's gradient is spread over its window, a maximum's goes to the place it came from."""

import math

import numpy as np
import numpy.typing as npt

from training.gradient.rules.convolution import spread
from training.gradient.rules.rule import Rule
from training.gradient.rules.window import Window, read_window, spatial
from training.gradient.tape import Step, Tape, Unsupported


def average_pool(tape: Tape, step: Step) -> str:
    """Each window's gradient over the number of elements it averaged, spread by a kernel of ones."""
    window = read_window(tape, step.node, step.node.integers("kernel_shape"))
    (channels,) = tape.lengths(step.x, 1)
    share = tape.emit("Mul", step.gradient, tape.floats(1 / _counts(tape, step, window)))
    ones = tape.floats(np.ones((channels, 1, *window.kernel)))
    return spread(tape, step._replace(gradient=share), ones, window, channels)


def max_pool(tape: Tape, step: Step) -> str:
    """Each window's gradient added at the place of its maximum, of several equal ones the first, as torch does."""
    if step.node.integer("storage_order", 0):
        raise Unsupported("its indices are column-major")
    flat = tape.integers(-1)
    size = tape.emit("Reshape", tape.emit("Size", step.x), flat)
    places = tape.emit("Reshape", tape.indices_of(step.node.outputs[0]), flat)
    gradients = tape.emit("Reshape", step.gradient, flat)
    added = tape.emit("ScatterElements", _zeros(tape, size), places, gradients, axis=0, reduction="add")
    return tape.emit("Reshape", added, tape.shape_of(step.x))


def global_max_pool(tape: Tape, step: Step) -> str:
    """Each map's gradient at the place of its maximum."""
    maps = tape.emit("Reshape", step.x, tape.integers(0, 0, -1))
    places = tape.emit("ArgMax", maps, axis=2, keepdims=1)
    gradients = tape.emit("Reshape", step.gradient, tape.integers(0, 0, 1))
    put = tape.emit("ScatterElements", _zeros(tape, tape.shape_of(maps)), places, gradients, axis=2)
    return tape.emit("Reshape", put, tape.shape_of(step.x))


def _zeros(tape: Tape, shape: str) -> str:
    nothing = tape.floats([0.0])
    return tape.emit("Expand", nothing, shape)


def _counts(tape: Tape, step: Step, window: Window) -> npt.NDArray[np.float64]:
    """How many elements each output averaged: (1, 1, …), one where that is the same everywhere."""
    if step.node.integer("count_include_pad", 0) and not step.node.integer("ceil_mode", 0):
        return np.array(float(math.prod(window.kernel)))
    padding = step.node.integer("count_include_pad", 0)
    along = [_counts_along(tape, step, window, axis, padded=bool(padding)) for axis in range(len(window.kernel))]
    product = along[0]
    for counts in along[1:]:
        product = np.multiply.outer(product, counts)
    return product[np.newaxis, np.newaxis]


def _counts_along(tape: Tape, step: Step, window: Window, axis: int, *, padded: bool) -> npt.NDArray[np.float64]:
    """Elements of each window that lie inside the input, or inside its padding too."""
    length, outputs = spatial(tape, step.x)[axis], spatial(tape, step.y)[axis]
    first = -window.before[axis] if padded else 0
    past = length + (window.after[axis] if padded else 0)
    starts = np.arange(outputs) * window.strides[axis] - window.before[axis]
    places = starts[:, np.newaxis] + np.arange(window.kernel[axis]) * window.dilations[axis]
    return np.asarray(((places >= first) & (places < past)).sum(axis=1), float)


RULES: dict[str, Rule] = {"AveragePool": average_pool, "GlobalMaxPool": global_max_pool, "MaxPool": max_pool}
