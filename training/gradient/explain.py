"""Put the explain graph together: logits as before, and activations and gradients of the layers asked for."""

from collections.abc import Mapping, Sequence

import onnx
from onnx import TensorProto, helper

from training.errors import GradientError
from training.gradient.forward import BATCH, Forward
from training.gradient.layers import find_layer
from training.gradient.reverse import TARGET, differentiate, find_way
from training.gradient.tape import Tape

LOGITS = "logits"


Layers = Sequence[str] | Mapping[str, str]
"""Layers under their own names, or under names of the caller's choice."""


def explain_graph(model: onnx.ModelProto, layers: Layers, logits: str = LOGITS) -> onnx.ModelProto:
    """The graph that also gives, a layer L, `activations:L` and `gradients:L`, both shaped as the layer's output.

    Inputs: those of `model` and `target`, int64 (N,), the class whose logit is differentiated; -1 is the predicted
    one. A layer is named as `find_layer` reads it. Raises `UnknownLayer`, `NoRule` or `GradientError`.
    """
    forward = Forward(model)
    element_type = forward.element_type(logits)
    if element_type == TensorProto.UNDEFINED:
        raise GradientError(f"the graph has no {logits!r}; its outputs are {', '.join(forward.outputs)}")
    named = layers if isinstance(layers, Mapping) else {layer: layer for layer in layers}
    tensors = {name: find_layer(forward, layer, logits) for name, layer in named.items()}
    tape = Tape(forward, element_type)
    way = find_way(forward, tuple(tensors.values()), logits)
    gradients = differentiate(forward, tape, way, logits)
    return _assemble(forward, tape, logits, tensors, gradients)


def _assemble(
    forward: Forward, tape: Tape, logits: str, tensors: Mapping[str, str], gradients: Mapping[str, str]
) -> onnx.ModelProto:
    sources = {LOGITS: logits}
    for layer, tensor in tensors.items():
        sources |= {f"activations:{layer}": tensor, f"gradients:{layer}": gradients[tensor]}
    needed = {node.outputs for node in forward.nodes_behind(logits, *tensors.values())}
    kept = [node for node in forward.model.graph.node if tuple(node.output) in needed]
    nodes = [_with_indices(node, tape.indices) for node in kept] + tape.nodes
    nodes += [helper.make_node("Identity", [source], [name]) for name, source in sources.items() if name != source]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "explain",
        [*(value for value in forward.inputs if value.name in used), _target()],
        [_output(forward, LOGITS, logits), *_outputs(forward, tensors)],
        [weight for weight in (*forward.model.graph.initializer, *tape.constants) if weight.name in used],
    )
    return _finish(graph, forward.model)


def _finish(graph: onnx.GraphProto, original: onnx.ModelProto) -> onnx.ModelProto:
    """A checked model in the original's versions, with the original's properties."""
    model = helper.make_model(graph, opset_imports=original.opset_import, ir_version=original.ir_version)
    model.metadata_props.extend(original.metadata_props)
    onnx.checker.check_model(model, full_check=True)
    return model


def _with_indices(node: onnx.NodeProto, indices: Mapping[str, str]) -> onnx.NodeProto:
    """The node itself, or the MaxPool that also gives the places of its maxima."""
    name = indices.get(node.output[0])
    if name is None:
        return node
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    del copy.output[1:]
    copy.output.append(name)
    return copy


def _outputs(forward: Forward, tensors: Mapping[str, str]) -> list[onnx.ValueInfoProto]:
    return [
        _output(forward, f"{kind}:{layer}", tensor)
        for layer, tensor in tensors.items()
        for kind in ("activations", "gradients")
    ]


def _output(forward: Forward, name: str, tensor: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, forward.element_type(tensor), forward.shape(tensor))


def _target() -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(TARGET, TensorProto.INT64, [BATCH])
