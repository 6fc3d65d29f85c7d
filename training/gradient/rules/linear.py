"""Matrix products and batch normalisation with fixed statistics."""

from training.gradient.rules.rule import Rule, unbroadcast
from training.gradient.tape import Step, Tape, Unsupported


def gemm(tape: Tape, step: Step) -> str:
    """Y = alpha · A' B' + beta · C, where A' and B' may be transposed."""
    a, b = step.node.inputs[:2]
    alpha = step.node.number("alpha", 1.0)
    across, turned = step.node.integer("transA", 0), step.node.integer("transB", 0)
    if step.position == 2:
        scaled = tape.emit("Mul", step.gradient, tape.floats(step.node.number("beta", 1.0)))
        return unbroadcast(tape, scaled, step)
    if step.position == 0:
        left, right = ((b, turned), (step.gradient, 1)) if across else ((step.gradient, 0), (b, 1 - turned))
    else:
        left, right = ((step.gradient, 1), (a, across)) if turned else ((a, 1 - across), (step.gradient, 0))
    return tape.emit("Gemm", left[0], right[0], alpha=alpha, transA=left[1], transB=right[1])


def matmul(tape: Tape, step: Step) -> str:
    """The gradient times the other factor transposed."""
    a, b = step.node.inputs
    if step.position == 0:
        product = tape.emit("MatMul", step.gradient, _transposed(tape, b))
    else:
        product = tape.emit("MatMul", _transposed(tape, a), step.gradient)
    return unbroadcast_matrices(tape, product, step)


def unbroadcast_matrices(tape: Tape, gradient: str, step: Step) -> str:
    """Sum over the leading axes along which one stack of matrices was stretched to the other's."""
    other = step.node.inputs[1 - step.position]
    own, stretched = tape.shape(step.x)[:-2], tape.shape(step.y)[:-2]
    if own == stretched:
        return gradient
    if len(own) or not len(tape.shape(other)):
        raise Unsupported(f"{step.x!r} is a stack of matrices that is stretched")
    return tape.emit("ReduceSum", gradient, tape.integers(*range(len(stretched))), keepdims=0)


def batch_normalization(tape: Tape, step: Step) -> str:
    """The gradient times scale / sqrt(variance + epsilon), a channel each."""
    if step.node.integer("training_mode", 0):
        raise Unsupported("it is in training mode")
    scale, _, _, variance = step.node.inputs[1:5]
    deviation = tape.emit("Sqrt", tape.emit("Add", variance, tape.floats(step.node.number("epsilon", 1e-5))))
    shape = tape.integers(-1, *(1 for _ in tape.shape(step.x)[2:]))
    factor = tape.emit("Reshape", tape.emit("Div", scale, deviation), shape)
    return tape.emit("Mul", step.gradient, factor)


def _transposed(tape: Tape, matrices: str) -> str:
    rank = len(tape.shape(matrices))
    if rank < 2:
        raise Unsupported(f"{matrices!r} is a vector")
    return tape.emit("Transpose", matrices, perm=[*range(rank - 2), rank - 1, rank - 2])


BY_DATA: dict[str, Rule] = {"BatchNormalization": batch_normalization}
BY_ANY: dict[str, Rule] = {"Gemm": gemm, "MatMul": matmul}
