"""The sanity check of Adebayo et al. 2018: a map that stays when the weights are shuffled explains nothing."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
from onnx import numpy_helper

from service.contract.card import MODEL_FILE
from training.errors import GradientError
from training.explainable import write_explains
from training.gradient.explain import LOGITS
from training.gradient.forward import Forward
from training.gradient.layers import default_layers
from training.judge.maps import Cams, Pixels, Targets, cams_of
from training.judge.measures import Floats

DEPTHS: Mapping[str, float] = MappingProxyType({"head": 0.0, "later half": 0.5, "all": 1.0})
"""Share of the network's weighted operators, counted from the logits, that are shuffled; at least all of the head's."""
WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


def shuffled_columns(
    model_path: Path, slices: Pixels, targets: Targets, cams: Mapping[str, Cams], seed: int
) -> dict[str, dict[str, Floats]]:
    """For each kind of map and each of `DEPTHS`, the rank correlation (N,) with the same map of a shuffled network."""
    found: dict[str, dict[str, Floats]] = {name: {} for name in cams}
    for depth, share in DEPTHS.items():
        for name, others in shuffled_cams(model_path, slices, targets, share, seed).items():
            pairs = zip(cams[name], others, strict=True)
            found[name][depth] = np.array([rank_correlation(one, other) for one, other in pairs])
    return found


def shuffled_cams(model_path: Path, slices: Pixels, targets: Targets, share: float, seed: int) -> dict[str, Cams]:
    """The maps of the network with that share of its weights shuffled, for the same targets."""
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / MODEL_FILE
        onnx.save(shuffle(onnx.load(model_path), share, seed), path)
        return cams_of(write_explains(path), slices, targets)


def shuffle(model: onnx.ModelProto, share: float, seed: int) -> onnx.ModelProto:
    """The model with the values of each weight and bias of its last operators in random order.

    With a `share` of 0 those behind the last feature map, which may be several: a network that answers by its cells
    reads that map twice. Shuffled and not drawn anew, so that every weight keeps its distribution. Raises
    `GradientError` where none is met.
    """
    draws = np.random.default_rng(seed)
    nodes = list(model.graph.node) if share else _behind_maps(model)
    weighted = [node for node in nodes if node.op_type in WEIGHTED]
    last = weighted[-round(share * len(weighted)) :] if share else weighted
    names = {name for node in last for name in node.input[1:]}
    met = [weight for weight in model.graph.initializer if weight.name in names]
    if not met:
        raise GradientError("the last operators of the graph have no weights of their own to shuffle")
    for weight in met:
        values = numpy_helper.to_array(weight)
        shuffled = draws.permutation(values.ravel()).reshape(values.shape)
        weight.CopyFrom(numpy_helper.from_array(shuffled, weight.name))
    return model


def _behind_maps(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The operators between the last feature map and the logits."""
    nodes, last = list(model.graph.node), default_layers(Forward(model), LOGITS)[0]
    return nodes[next(place for place, node in enumerate(nodes, start=1) if last in node.output) :]


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's ρ of two maps; 0 where one of them is the same everywhere."""
    first, second = (_ranks(each.ravel()) for each in (one, other))
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / scale if scale > 0 else 0.0


def _ranks(values: Floats) -> Floats:
    """Equal values share the mean of their ranks."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places], np.float64)
