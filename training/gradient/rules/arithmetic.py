"""Sums, products, quotients and powers, whose operands may be stretched to each other."""

from training.gradient.rules.rule import Rule, unbroadcast
from training.gradient.tape import Step, Tape


def add(tape: Tape, step: Step) -> str:
    """Every summand gets the gradient."""
    return unbroadcast(tape, step.gradient, step)


def sub(tape: Tape, step: Step) -> str:
    """What is taken away gets the gradient negated."""
    gradient = tape.emit("Neg", step.gradient) if step.position else step.gradient
    return unbroadcast(tape, gradient, step)


def mul(tape: Tape, step: Step) -> str:
    """The product rule: the gradient times the other factor."""
    other = step.node.inputs[1 - step.position]
    return unbroadcast(tape, tape.emit("Mul", step.gradient, other), step)


def div(tape: Tape, step: Step) -> str:
    """G / b for the dividend, -G · y / b for the divisor."""
    quotient = tape.emit("Div", step.gradient, step.node.inputs[1])
    if step.position:
        quotient = tape.emit("Neg", tape.emit("Mul", quotient, step.y))
    return unbroadcast(tape, quotient, step)


def power(tape: Tape, step: Step) -> str:
    """G · p · x^(p - 1) for a constant exponent p."""
    exponent = tape.fixed(step.node.inputs[1]).astype(float)
    lower = tape.emit("Pow", step.x, tape.floats(exponent - 1))
    slope = tape.emit("Mul", lower, tape.floats(exponent))
    return unbroadcast(tape, tape.emit("Mul", step.gradient, slope), step)


BY_DATA: dict[str, Rule] = {"Pow": power}
BY_ANY: dict[str, Rule] = {"Add": add, "Div": div, "Mul": mul, "Sub": sub, "Sum": add}
