"""Convolutions and transposed convolutions of any stride, padding, dilation and number of groups.

The weights of the backward pass are turned inside the graph: ONNX Runtime does it once, when it loads, and the
file holds every weight once.
"""

from functools import reduce

import numpy as np

from training.gradient.rules.rule import Rule
from training.gradient.rules.window import Window, read_window, spatial
from training.gradient.tape import Step, Tape

LAST = np.iinfo(np.int64).min
"""Where a slice that runs backwards ends so that it holds the first element."""


def conv(tape: Tape, step: Step) -> str:
    """Every output's gradient, spread over the window it was computed from."""
    weight = step.node.inputs[1]
    window = read_window(tape, step.node, spatial(tape, weight))
    return spread(tape, step, weight, window, step.node.integer("group", 1))


def conv_transpose(tape: Tape, step: Step) -> str:
    """The convolution with the same weight."""
    weight = step.node.inputs[1]
    window = read_window(tape, step.node, spatial(tape, weight))
    return tape.emit(
        "Conv",
        step.gradient,
        weight,
        strides=window.strides,
        dilations=window.dilations,
        pads=[*window.before, *window.after],
        group=step.node.integer("group", 1),
    )


def spread(tape: Tape, step: Step, weight: str, window: Window, group: int) -> str:
    """The transposed convolution of the step's gradient, in the form that runs fastest.

    Stride 1 is a convolution with turned kernels. Wider strides in groups are the same after the gradient was set
    apart by zeros, which takes half as long as ONNX Runtime's ConvTranspose; one group is left to ConvTranspose.
    """
    margins = _margins(tape, step, window)
    apart = set(window.strides) != {1}
    if min(margins) < 0 or (apart and group == 1):
        return _transposed(tape, step, weight, window, group)
    gradient = _set_apart(tape, step, window.strides) if apart else step.gradient
    turned = _turn(tape, weight, group)
    return tape.emit("Conv", gradient, turned, dilations=window.dilations, pads=margins, group=group)


def _margins(tape: Tape, step: Step, window: Window) -> list[int]:
    """Zeros around the gradient, set apart by the strides, from which stride 1 gives an output as large as `x`."""
    before = [reach - pad for reach, pad in zip(window.reach, window.before, strict=True)]
    if set(window.strides) == {1}:
        return [*before, *(reach - pad for reach, pad in zip(window.reach, window.after, strict=True))]
    sizes = zip(spatial(tape, step.x), spatial(tape, step.y), window.strides, window.reach, before, strict=True)
    return [*before, *(x + reach - y * stride - margin for x, y, stride, reach, margin in sizes)]


def _transposed(tape: Tape, step: Step, weight: str, window: Window, group: int) -> str:
    """ConvTranspose, told by how much the input was longer than the windows needed."""
    return tape.emit(
        "ConvTranspose",
        step.gradient,
        weight,
        strides=window.strides,
        dilations=window.dilations,
        pads=[*window.before, *window.after],
        output_padding=_left_over(tape, step, window),
        group=group,
    )


def _left_over(tape: Tape, step: Step, window: Window) -> list[int]:
    if set(window.strides) == {1}:
        return [0] * len(window.strides)
    padded = zip(spatial(tape, step.x), window.before, window.after, window.reach, window.strides, strict=True)
    return [(length + before + after - reach - 1) % stride for length, before, after, reach, stride in padded]


def _set_apart(tape: Tape, step: Step, strides: tuple[int, ...]) -> str:
    """The gradient with stride - 1 zeros behind every element: copied, then all copies but the first made 0."""
    scales = np.array([1, 1, *strides], np.float32)
    copied = tape.emit(
        "Resize",
        step.gradient,
        "",
        tape.constant(scales),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    every = [np.arange(n * stride) % stride == 0 for n, stride in zip(spatial(tape, step.y), strides, strict=True)]
    firsts = reduce(np.logical_and.outer, every)[np.newaxis, np.newaxis]
    return tape.emit("Mul", copied, tape.floats(firsts))


def _turn(tape: Tape, weight: str, group: int) -> str:
    """The weight (O, I / group, …) of the opposite direction: (I, O / group, …), each kernel back to front."""
    shape = tape.shape(weight)
    outputs, inputs, *kernel = tape.lengths(weight, *range(len(shape)))
    axes = [*range(2, len(shape))]
    if group == 1:
        weight = tape.emit("Transpose", weight, perm=[1, 0, *axes])
    elif (outputs, inputs) != (group, 1):
        split = tape.emit("Reshape", weight, tape.integers(group, outputs // group, inputs, *kernel))
        swapped = tape.emit("Transpose", split, perm=[0, 2, 1, *(axis + 1 for axis in axes)])
        weight = tape.emit("Reshape", swapped, tape.integers(group * inputs, outputs // group, *kernel))
    if set(kernel) == {1}:
        return weight
    backwards = [tape.integers(*(value for _ in axes)) for value in (-1, int(LAST))]
    return tape.emit("Slice", weight, *backwards, tape.integers(*axes), tape.integers(*(-1 for _ in axes)))


RULES: dict[str, Rule] = {"Conv": conv, "ConvTranspose": conv_transpose}
