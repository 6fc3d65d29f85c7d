"""The sliding window of convolutions and poolings."""

from dataclasses import dataclass

from training.gradient.forward import Node
from training.gradient.tape import Tape, Unsupported


@dataclass(frozen=True)
class Window:
    """Sizes along each spatial axis; `before` and `after` are the zeros put around the input."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def reach(self) -> tuple[int, ...]:
        """Distance from a window's first element to its last."""
        return tuple(dilation * (size - 1) for size, dilation in zip(self.kernel, self.dilations, strict=True))


def read_window(tape: Tape, node: Node, kernel: tuple[int, ...]) -> Window:
    """The window of `node`, whose kernel has the given size; automatic padding is worked out."""
    ones = (1,) * len(kernel)
    strides, dilations = node.integers("strides", ones), node.integers("dilations", ones)
    pads = node.integers("pads", (0,) * (2 * len(kernel)))
    window = Window(kernel, strides, dilations, pads[: len(kernel)], pads[len(kernel) :])
    automatic = node.text("auto_pad", "NOTSET")
    if automatic == "NOTSET":
        return window
    if node.operator == "ConvTranspose":
        raise Unsupported(f"its padding is {automatic}")
    if automatic == "VALID":
        return Window(kernel, strides, dilations, (0,) * len(kernel), (0,) * len(kernel))
    return _same(tape, node, window, more_after=automatic == "SAME_UPPER")


def spatial(tape: Tape, tensor: str) -> tuple[int, ...]:
    """The fixed sizes of `tensor` behind batch and channels."""
    return tape.lengths(tensor, *range(2, len(tape.shape(tensor))))


def _same(tape: Tape, node: Node, window: Window, *, more_after: bool) -> Window:
    """Padding so that the output is the input's size divided by the stride, rounded up."""
    totals = [
        max((-(-length // stride) - 1) * stride + reach + 1 - length, 0)
        for length, stride, reach in zip(spatial(tape, node.inputs[0]), window.strides, window.reach, strict=True)
    ]
    less, more = tuple(total // 2 for total in totals), tuple(total - total // 2 for total in totals)
    before, after = (less, more) if more_after else (more, less)
    return Window(window.kernel, window.strides, window.dilations, before, after)
