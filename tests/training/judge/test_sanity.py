from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from service.contract.card import MODEL_FILE
from tests.bundles import write_model
from training.errors import GradientError
from training.explainable import explains_in
from training.export import export_network
from training.judge.maps import cams_of
from training.judge.sanity import DEPTHS, rank_correlation, shuffle, shuffled_columns
from training.networks.classifier import Classifier

SLICES = np.random.default_rng(3).integers(0, 256, (6, 64, 64), np.uint8)
TARGETS = np.array([0, 1, 2, 3, 0, 1])


def weights(model: onnx.ModelProto) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    return {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}


def test_shuffling_keeps_every_weights_values_and_leaves_what_lies_before(finished: Path) -> None:
    before = weights(onnx.load(finished / MODEL_FILE))
    changed = {}
    for depth, share in DEPTHS.items():
        after = weights(shuffle(onnx.load(finished / MODEL_FILE), share, seed=1))
        assert all(np.array_equal(np.sort(before[name].ravel()), np.sort(after[name].ravel())) for name in before)
        changed[depth] = sum(not np.array_equal(before[name], after[name]) for name in before)
    assert 1 <= changed["head"] < changed["later half"] < changed["all"]


def test_all_that_reads_the_last_feature_map_is_head(tmp_path: Path) -> None:
    network = Classifier("test_efficientnet", 4, absent=2).eval()
    path = export_network(network, tmp_path / MODEL_FILE, SLICES, origin="0" * 64)
    before, after = weights(onnx.load(path)), weights(shuffle(onnx.load(path), 0.0, seed=1))
    changed = {before[name].shape for name in before if not np.array_equal(before[name], after[name])}
    assert {(4, 256), (1, 256, 1, 1)} <= changed
    assert all(256 in shape or shape == (4,) for shape in changed)


def test_a_graph_whose_weights_are_made_on_the_way_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    model.graph.node[-1].input[1] = "scaled"
    with pytest.raises(GradientError, match="shuffle"):
        shuffle(model, 1.0, seed=1)


def test_a_map_that_ignores_the_head_stays_where_only_the_head_is_shuffled(finished: Path) -> None:
    cams = cams_of(explains_in(finished), SLICES, TARGETS)
    found = shuffled_columns(finished / MODEL_FILE, SLICES, TARGETS, cams, seed=1)
    assert set(found) == set(cams)
    assert found["eigencam/last"]["head"] == pytest.approx(1)
    assert found["gradcam/last"]["head"].mean() < 0.9
    assert found["eigencam/last"]["all"].mean() < 0.9


def test_rank_correlation_is_spearmans() -> None:
    one = np.array([[1.0, 2.0], [3.0, 10.0]])
    assert rank_correlation(one, one**3) == pytest.approx(1)
    assert rank_correlation(one, -one) == pytest.approx(-1)
    assert rank_correlation(one, np.zeros((2, 2))) == 0
    assert rank_correlation(np.array([1.0, 2, 2, 3]), np.array([1.0, 2, 3, 4])) == pytest.approx(0.9486833)
