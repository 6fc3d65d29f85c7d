"""The form every rule has, and what several of them need."""

from collections.abc import Callable

from training.gradient.tape import Step, Tape, Unsupported

Rule = Callable[[Tape, Step], str]
"""Write the step's nodes on the tape and return the name of the gradient of the step's `x`, shaped as `x`."""


def keep_where(tape: Tape, gradient: str, condition: str, element_type: int) -> str:
    """`gradient` where `condition` holds, else 0; a product, since ONNX Runtime takes longer over Where."""
    return tape.emit("Mul", gradient, tape.emit("Cast", condition, to=element_type))


def unbroadcast(tape: Tape, gradient: str, step: Step) -> str:
    """`gradient`, shaped as the step's `y`, summed over the axes along which `x` was stretched to it.

    A first axis of unknown size is the batch, which nothing stretches.
    """
    narrow, wide = tape.shape(step.x), tape.shape(step.y)
    missing = len(wide) - len(narrow)
    axes = [*range(missing)]
    for axis, (own, stretched) in enumerate(zip(narrow, wide[missing:], strict=True), start=missing):
        if own == 1 and stretched != 1:
            axes.append(axis)
        elif axis and (own is None or own != stretched):
            raise Unsupported(f"whether {step.x!r} of shape {narrow} is stretched to {wide} is open until it runs")
    if not axes:
        return gradient
    total = tape.emit("ReduceSum", gradient, tape.integers(*axes), keepdims=1)
    return tape.emit("Reshape", total, tape.shape_of(step.x)) if missing else total
