"""Which layers are chosen, and how one is asked for."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from training.errors import GradientError, UnknownLayer
from training.gradient.forward import SCOPES, Forward
from training.gradient.layers import default_layers, feature_maps, find_layer


def weight(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ones(shape, np.float32), name)


@pytest.fixture
def model() -> onnx.ModelProto:
    """8 × 8 → a residual block → 4 × 4 with a gate → class logits."""
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "w1"], ["a"], "first", pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "w2"], ["c"], pads=[1, 1, 1, 1]),
        node("Add", ["c", "b"], ["d"]),
        node("MaxPool", ["d"], ["e"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["e", "w2"], ["f"], "last", pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", ["f"], ["g"]),
        node("Conv", ["g", "w3"], ["h"]),
        node("Sigmoid", ["h"], ["i"]),
        node("Mul", ["f", "i"], ["j"]),
        node("Relu", ["j"], ["k"]),
        node("GlobalAveragePool", ["k"], ["l"]),
        node("Flatten", ["l"], ["logits"]),
    ]
    for made in nodes[2:4]:
        made.metadata_props.add(key=SCOPES, value="['', 'backbone', 'backbone.block', 'conv2d']")
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [None, 1, 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)
    weights = [weight("w1", 2, 1, 3, 3), weight("w2", 2, 2, 3, 3), weight("w3", 2, 2, 1, 1)]
    graph = helper.make_graph(nodes, "small", [image], [logits], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=8)


@pytest.fixture
def forward(model: onnx.ModelProto) -> Forward:
    return Forward(model)


def test_by_default_the_last_map_before_the_pooling_and_the_next_finer_one(forward: Forward) -> None:
    assert default_layers(forward, "logits") == ("k", "d")


def test_a_map_that_a_shortcut_or_a_gate_goes_around_is_none(forward: Forward) -> None:
    assert [found.tensor for found in feature_maps(forward, "logits")] == ["a", "b", "d", "e", "f", "j", "k", "l"]


def test_a_layer_is_a_tensor_a_node_or_a_module(forward: Forward) -> None:
    assert find_layer(forward, "b", "logits") == "b"
    assert find_layer(forward, "last", "logits") == "f"
    assert find_layer(forward, "backbone.block", "logits") == "d"


def test_an_unknown_layer_is_answered_with_what_there_is(forward: Forward) -> None:
    with pytest.raises(UnknownLayer, match=r"no layer is called 'z'; there are: a \(2, 8, 8\), .*k \(2, 4, 4\)"):
        find_layer(forward, "z", "logits")


def test_a_layer_beside_the_way_to_the_logits_is_unknown(model: onnx.ModelProto) -> None:
    model.graph.node.insert(2, helper.make_node("Relu", ["b"], ["aside"]))
    with pytest.raises(UnknownLayer):
        find_layer(Forward(model), "aside", "logits")


def test_without_a_convolution_a_layer_must_be_named() -> None:
    value = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 4])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 4])
    graph = helper.make_graph([helper.make_node("Relu", ["image"], ["logits"])], "flat", [value], [logits])
    with pytest.raises(GradientError, match="name a layer"):
        default_layers(Forward(helper.make_model(graph)), "logits")
