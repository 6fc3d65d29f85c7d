"""`explain.onnx` beside `model.onnx`: small, since it reads its weights out of the other file."""

from pathlib import Path

import onnx
from onnx import TensorProto

from service.contract.card import EXPLAIN_FILE
from training.errors import GradientError
from training.gradient.explain import LOGITS, Layers, explain_graph
from training.gradient.forward import Forward
from training.gradient.layers import default_layers
from training.whole import whole

SHARED_FROM = 1024
"""Bytes from which a weight is worth a reference; shapes and biases are read faster where they are."""
ACTIVATIONS = "activations:"


def write_explain(model_path: Path, layers: Layers = (), target: Path | None = None) -> Path:
    """Write the explain graph of `layers`, by default those of `default_layers`, whole or not at all.

    It goes beside the model, and both belong together from then on. Elsewhere it holds its own weights.
    """
    target = target or model_path.with_name(EXPLAIN_FILE)
    model = onnx.load(model_path)
    logits = find_logits(model)
    explain = explain_graph(model, layers or default_layers(Forward(model), logits), logits)
    if target.parent.resolve() == model_path.parent.resolve():
        share_weights(explain, model_path)
    with whole(target) as partial:
        partial.write_bytes(explain.SerializeToString())
    return target


def read_layers(explain_path: Path) -> tuple[str, ...]:
    """The layers that the graph explains, in the order in which they were asked for."""
    outputs = onnx.load(explain_path, load_external_data=False).graph.output
    return tuple(value.name.removeprefix(ACTIVATIONS) for value in outputs if value.name.startswith(ACTIVATIONS))


def share_weights(explain: onnx.ModelProto, model_path: Path) -> None:
    """Replace each large weight by the place in the model's file where the same bytes lie (ONNX external data)."""
    content = model_path.read_bytes()
    for weight in explain.graph.initializer:
        size = len(weight.raw_data)
        start = content.find(weight.raw_data) if size >= SHARED_FROM else -1
        if start >= 0:
            _refer(weight, location=model_path.name, offset=start, length=size)


def find_logits(model: onnx.ModelProto) -> str:
    """`logits` where the graph gives them, else its first output; of probabilities, what softmax made them from."""
    outputs = [output.name for output in model.graph.output]
    if not outputs:
        raise GradientError("the graph has no output")
    name = LOGITS if LOGITS in outputs else outputs[0]
    made = next((node for node in model.graph.node if name in node.output), None)
    return made.input[0] if made is not None and made.op_type in {"Softmax", "LogSoftmax"} else name


def _refer(weight: TensorProto, **place: str | int) -> None:
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in place.items():
        weight.external_data.add(key=key, value=str(value))
