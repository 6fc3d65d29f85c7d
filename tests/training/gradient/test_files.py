"""What is written beside a model, and how little of it."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from service.contract.card import EXPLAIN_FILE
from tests.training.gradient.graphs import Array
from training.__main__ import app
from training.errors import GradientError
from training.gradient.explain import explain_graph
from training.gradient.files import find_logits, read_layers, write_explain

IMAGE = np.random.default_rng(1).normal(size=(3, 2, 6, 6)).astype(np.float32)


def small_model(opset: int = 20, batch: str | None = "N") -> onnx.ModelProto:
    """Convolution, ReLU, mean over all places, four classes, softmax."""
    draw = np.random.default_rng(4).normal
    keep = {"axes": [2, 3], "keepdims": 0} if opset < 18 else {"keepdims": 0}
    axes = ["map"] if opset < 18 else ["map", "places"]
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["wide"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["wide"], ["map"]),
        helper.make_node("ReduceMean", axes, ["pooled"], **keep),
        helper.make_node("Gemm", ["pooled", "head"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
    ]
    weights = {"kernel": draw(size=(64, 2, 3, 3)).astype(np.float32), "head": draw(size=(64, 4)).astype(np.float32)}
    weights |= {} if opset < 18 else {"places": np.array([2, 3])}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 2, 6, 6])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [batch, 4])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(small_model(), path)
    return path


def answer(path: Path) -> dict[str, Array]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    feeds = {"image": IMAGE, "target": np.array([-1, 0, 3], np.int64)}
    return dict(zip(names, session.run(names, feeds), strict=True))


def test_the_weights_lie_in_the_models_file_alone(model: Path) -> None:
    before = model.read_bytes()
    path = write_explain(model)
    kernel = next(w for w in onnx.load(path, load_external_data=False).graph.initializer if w.name == "kernel")
    assert {entry.key: entry.value for entry in kernel.external_data}["location"] == "model.onnx"
    assert model.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == [EXPLAIN_FILE, "model.onnx"]


def test_sharing_the_weights_changes_no_answer(model: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    shared = answer(write_explain(model))
    alone = answer(write_explain(model, target=tmp_path / "elsewhere" / EXPLAIN_FILE))
    for name, value in shared.items():
        assert np.array_equal(value, alone[name])


def test_the_whole_bundle_may_move(model: Path, tmp_path: Path) -> None:
    path = write_explain(model)
    wanted = answer(path)
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in (model, path):
        file.rename(moved / file.name)
    assert np.array_equal(answer(moved / EXPLAIN_FILE)["logits"], wanted["logits"])


@pytest.mark.parametrize(("opset", "batch"), [(11, "N"), (13, None), (20, None)])
def test_older_graphs_and_nameless_batches_are_explained_alike(opset: int, batch: str | None, tmp_path: Path) -> None:
    onnx.save(small_model(opset, batch), tmp_path / "model.onnx")
    old = answer(write_explain(tmp_path / "model.onnx"))
    onnx.save(small_model(), tmp_path / "model.onnx")
    new = answer(write_explain(tmp_path / "model.onnx"))
    for name, value in new.items():
        assert old[name] == pytest.approx(value, abs=1e-6)


def test_of_probabilities_the_logits_behind_them_are_explained(model: Path) -> None:
    assert find_logits(onnx.load(model)) == "scores"
    head = numpy_helper.to_array(onnx.load(model).graph.initializer[1])
    got = answer(write_explain(model))
    chosen = [int(got["logits"][0].argmax()), 0, 3]
    assert got["gradients:map"][:, :, 0, 0] == pytest.approx(head.T[chosen] / 36, rel=1e-5)


def test_a_layer_that_is_unknown_leaves_no_file(model: Path) -> None:
    with pytest.raises(GradientError):
        write_explain(model, ["nowhere"])
    assert list(model.parent.iterdir()) == [model]


def test_logits_that_the_graph_lacks_are_named_beside_its_outputs() -> None:
    with pytest.raises(GradientError, match="no 'logits'; its outputs are probabilities"):
        explain_graph(small_model(), ["map"])


def test_the_command_explains_the_layers_asked_for(model: Path) -> None:
    result = CliRunner().invoke(app, ["explainable", str(model), "--layer", "wide", "--layer", "map"])
    assert result.exit_code == 0
    assert "layer wide" in result.output
    assert read_layers(model.with_name(EXPLAIN_FILE)) == ("wide", "map")
