"""A run's best checkpoint becomes `model.onnx`, or nothing at all if the two do not answer alike."""

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch

from service.contract.card import MODEL_FILE
from training import checkpoint
from training.config import read_recipe
from training.data.index import sha256_of
from training.errors import OrderError, ParityError, TrainingError, made_by
from training.explainable import export_explain, forget_explains
from training.graph import Answer, Graph
from training.networks.classifier import Classifier
from training.run import RECIPE, load_best, load_folds
from training.variants.guard import refuse_quantized
from training.whole import whole

OPSET = 20
"""torch's own default; every runtime since 2024 reads it."""
TOLERANCE = 1e-4
"""Largest difference allowed, as a share of the largest value the network gives."""
BATCH_SIZES = (1, 8)
LARGEST_FILE = 25_000_000
"""Bytes; a bundle is committed to git, and a file beyond this is a network that was not meant to be."""
PARITY_SLICES = 64
ORIGIN = "checkpoint_sha256"


def export(data: Path, run: Path) -> Path:
    """Write `<run>/model.onnx` and its explain graphs, compared with torch on real slices of the validation folds."""
    refuse_quantized(run, "export")
    recipe = read_recipe(made_by("train", run / RECIPE))
    network = load_best(recipe, run)
    held_out = load_folds(recipe, data, run, recipe.data.val_folds).pixels
    chosen = np.linspace(0, len(held_out) - 1, min(PARITY_SLICES, len(held_out))).astype(int)
    forget_explains(run)
    graph = export_network(network, run / MODEL_FILE, held_out[chosen], origin=sha256_of(run / checkpoint.BEST))
    export_explain(network, graph, held_out[chosen], TOLERANCE)
    return graph


def read_graph(run: Path) -> Path:
    """The run's graph; raises `OrderError` where it was not made from the best checkpoint of now."""
    path = made_by("export", run / MODEL_FILE)
    properties = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    if properties.get(ORIGIN) != sha256_of(run / checkpoint.BEST):
        raise OrderError(f"{path} was made from another checkpoint: run `python -m training export` again")
    return path


def export_network(
    network: Classifier, target: Path, slices: npt.NDArray[np.uint8], *, origin: str, tolerance: float = TOLERANCE
) -> Path:
    """Write `target` whole, or raise `ParityError` and leave nothing.

    Both must answer `slices` (N, h, w) alike; `origin` is the checkpoint's SHA-256, kept in the graph.
    """
    target.unlink(missing_ok=True)
    with whole(target) as partial:
        graph = _trace(network.eval(), slices.shape[1:])
        onnx.helper.set_model_props(graph, {ORIGIN: origin})
        onnx.save(graph, partial)
        _refuse_large(partial)
        compare(network, partial, slices, tolerance)
    return target


def compare(network: Classifier, path: Path, slices: npt.NDArray[np.uint8], tolerance: float = TOLERANCE) -> float:
    """Largest relative difference between the graph at `path` and torch; raises `ParityError` beyond `tolerance`."""
    with torch.inference_mode():
        wanted = Answer(*(tensor.numpy() for tensor in network.eval()(torch.from_numpy(slices.copy()))))
    graph, largest = Graph(path), 0.0
    for batch_size in BATCH_SIZES:
        for name, ours, theirs in zip(Answer._fields, wanted, graph(slices, batch_size), strict=True):
            difference = float(np.abs(ours - theirs).max() / np.abs(ours).max())
            if not difference <= tolerance:
                raise ParityError(f"{name} at batch {batch_size} differ from torch by {difference:.2e} of their scale")
            largest = max(largest, difference)
    return largest


def opset_of(path: Path) -> int:
    """The version of ONNX's own operators that the graph at `path` is written in."""
    imports = onnx.load(path, load_external_data=False).opset_import
    return next(int(entry.version) for entry in imports if entry.domain in {"", "ai.onnx"})


def _trace(network: Classifier, size: tuple[int, ...]) -> onnx.ModelProto:
    """The whole module as one checked graph, its batch size free and batch norms folded into convolutions."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)  # torch's own, about itself
        program = torch.onnx.export(
            network,
            (torch.zeros(2, *size, dtype=torch.uint8),),
            input_names=["image"],
            output_names=list(Answer._fields),
            dynamic_shapes={"slices": {0: torch.export.Dim("N")}},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise TrainingError("torch gave no graph")
    graph: onnx.ModelProto = program.model_proto
    _forget_source(graph)
    onnx.checker.check_model(graph, full_check=True)
    return graph


def _forget_source(graph: onnx.ModelProto) -> None:
    """Drop the stack traces torch writes into every node, which name paths of the machine that exported."""
    del graph.metadata_props[:], graph.graph.metadata_props[:]
    for node in graph.graph.node:
        del node.metadata_props[:]
    for value in (*graph.graph.input, *graph.graph.output, *graph.graph.value_info, *graph.graph.initializer):
        del value.metadata_props[:]


def _refuse_large(path: Path) -> None:
    if (size := path.stat().st_size) > LARGEST_FILE:
        raise TrainingError(f"the graph takes {size / 1e6:.1f} MB, more than the {LARGEST_FILE / 1e6:.0f} MB allowed")
