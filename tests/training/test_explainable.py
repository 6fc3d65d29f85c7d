import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from service.contract.card import EXPLAIN_FILE, MODEL_FILE
from training.config import Recipe
from training.errors import ParityError
from training.explainable import (
    LAST,
    compare_explain,
    compare_logits,
    explained_logits,
    explains_in,
    export_explain,
    write_explains,
)
from training.gradient.files import read_layers
from training.graph import Graph
from training.run import load_best

SLICES = np.random.default_rng(3).integers(0, 256, (9, 64, 64), np.uint8)


@pytest.fixture
def model(finished: Path, tmp_path: Path) -> Path:
    """The finished run's graph, without its explain graph."""
    return Path(shutil.copyfile(finished / MODEL_FILE, tmp_path / MODEL_FILE))


def test_the_layers_go_by_names_that_say_what_they_are(finished: Path) -> None:
    found = {layer: read_layers(path) for layer, path in explains_in(finished).items()}
    assert found == {"last": ("last",), "finer": ("finer",)}


def test_the_explain_graph_meets_the_closed_form_and_gives_the_models_logits(
    finished: Path, model: Path, recipe: Recipe
) -> None:
    for path in export_explain(load_best(recipe, finished), model, SLICES, 1e-4).values():
        assert np.allclose(explained_logits(path, SLICES), Graph(model)(SLICES, 9).logits, atol=1e-5)


def test_a_graph_of_other_weights_is_refused_and_not_left_behind(finished: Path, model: Path, recipe: Recipe) -> None:
    network = load_best(recipe, finished)
    with torch.no_grad():
        network.head.weight[0, 0] += 0.1
    with pytest.raises(ParityError, match="closed form"):
        export_explain(network, model, SLICES, 1e-4)
    assert explains_in(model.parent) == {}


def test_a_finer_graph_with_other_logits_is_refused(model: Path, tmp_path: Path) -> None:
    graphs = write_explains(model)
    other = onnx.load(model)
    weight = next(each for each in other.graph.initializer if len(each.dims) == 2)
    weight.raw_data = numpy_helper.to_array(weight)[::-1].tobytes()
    (tmp_path / "other").mkdir()
    onnx.save(other, tmp_path / "other" / MODEL_FILE)
    wrong = write_explains(tmp_path / "other" / MODEL_FILE)
    with pytest.raises(ParityError, match="layer finer"):
        compare_logits({"last": graphs["last"], "finer": wrong["finer"]}, SLICES, 1e-4)


def test_a_gradient_that_was_tampered_with_is_found_out(finished: Path, recipe: Recipe, tmp_path: Path) -> None:
    for name in (MODEL_FILE, EXPLAIN_FILE):
        shutil.copyfile(finished / name, tmp_path / name)
    path = tmp_path / EXPLAIN_FILE
    graph = onnx.load(path, load_external_data=False)
    node = next(each for each in graph.graph.node if f"gradients:{LAST}" in each.output)
    graph.graph.initializer.append(numpy_helper.from_array(np.array(1.01, np.float32), "factor"))
    graph.graph.node.append(onnx.helper.make_node("Mul", ["true", "factor"], [node.output[0]]))
    node.output[0] = "true"
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(ParityError):
        compare_explain(load_best(recipe, finished), path, SLICES, 1e-4)
