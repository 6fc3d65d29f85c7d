import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from service.contract.card import MODEL_FILE
from training.config import Recipe
from training.errors import OrderError, ParityError
from training.export import OPSET, compare, export_network, opset_of, read_graph
from training.graph import Graph
from training.networks.classifier import Classifier
from training.run import load_best

SLICES = np.random.default_rng(1).integers(0, 256, (8, 64, 64), dtype=np.uint8)


@pytest.fixture
def network(finished: Path, recipe: Recipe) -> Classifier:
    return load_best(recipe, finished)


def test_the_graph_answers_as_torch_does(finished: Path, network: Classifier) -> None:
    assert compare(network, finished / MODEL_FILE, SLICES) < 1e-5


def test_the_batch_size_is_free_and_does_not_change_the_answer(finished: Path) -> None:
    graph = Graph(finished / MODEL_FILE)
    alone = graph(SLICES, batch_size=1)
    for batch_size in (3, 5, 8):
        assert graph(SLICES, batch_size).logits == pytest.approx(alone.logits, abs=1e-5)
    assert alone.logits.shape == (8, 4)
    assert alone.embedding.shape == (8, 256)


def test_the_graph_takes_8_bit_slices_and_holds_everything_in_one_file(finished: Path) -> None:
    graph = onnx.load(finished / MODEL_FILE)
    image = graph.graph.input[0]
    assert image.name == "image"
    assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [output.name for output in graph.graph.output] == ["logits", "embedding"]
    assert all(weight.data_location == onnx.TensorProto.DEFAULT for weight in graph.graph.initializer)
    assert opset_of(finished / MODEL_FILE) == OPSET


def test_batch_norms_are_folded_and_no_path_of_this_machine_is_left(finished: Path) -> None:
    graph = onnx.load(finished / MODEL_FILE)
    assert "BatchNormalization" not in {node.op_type for node in graph.graph.node}
    assert b"site-packages" not in (finished / MODEL_FILE).read_bytes()


def test_a_graph_that_was_tampered_with_is_named_by_its_difference(
    finished: Path, network: Classifier, tmp_path: Path
) -> None:
    graph = onnx.load(finished / MODEL_FILE)
    bias = next(weight for weight in graph.graph.initializer if weight.name.endswith("head.bias"))
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.01), bias.name))
    onnx.save(graph, tmp_path / MODEL_FILE)
    with pytest.raises(ParityError, match=r"logits at batch 1 differ from torch by \d"):
        compare(network, tmp_path / MODEL_FILE, SLICES)


def test_a_refused_graph_leaves_no_file_and_takes_the_old_one_with_it(network: Classifier, tmp_path: Path) -> None:
    target = tmp_path / MODEL_FILE
    target.write_bytes(b"an older graph")
    with pytest.raises(ParityError):
        export_network(network, target, SLICES, origin="0" * 64, tolerance=-1)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_of_another_checkpoint_is_refused(finished: Path, tmp_path: Path) -> None:
    shutil.copyfile(finished / MODEL_FILE, tmp_path / MODEL_FILE)
    (tmp_path / "best.pt").write_bytes(b"another")
    with pytest.raises(OrderError, match="another checkpoint"):
        read_graph(tmp_path)
