"""An exported graph with its convolutions in 8-bit integers, written so that every CPU gives the same answer."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import onnx
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.calibrate import TensorsData, save_tensors_data

from training.variants.ranges import OPERATORS

WHOLE_RANGE = {"axis": 0, "quant_type": QuantType.QInt8, "symmetric": True, "reduce_range": False}


def depthwise(graph: Path) -> set[str]:
    """Names of the weights of convolutions that see one channel each."""
    loaded = onnx.load(graph).graph
    single = {each.name for each in loaded.initializer if len(each.dims) == 4 and each.dims[1] == 1}
    return {node.input[1] for node in loaded.node if node.op_type == "Conv" and node.input[1] in single}


def write_integers(graph: Path, target: Path, ranges: TensorsData) -> Path:
    """Write `target`: weights of `graph` in 7 bits a channel, activations in 8 bits over `ranges`, in QDQ form.

    7 bits (`reduce_range`), since AVX2 and AVX-512 without VNNI add two products of u8 and s8 in 16 bits, which
    saturate silently: 255 · 127 · 2 is more than 32767, 255 · 64 · 2 is not. So the integers are the same everywhere.
    Depthwise convolutions keep 8 bits: their kernels never add in 16, and they are where a lost bit is felt.
    """
    with tempfile.TemporaryDirectory() as room, _quiet():
        cache = Path(room) / "ranges.json"
        save_tensors_data(ranges, cache)
        quantize_static(
            graph,
            target,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(OPERATORS),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=ranges.calibration_method,
            calibration_cache_path=cache,
            extra_options={"TensorQuantOverrides": {name: [WHOLE_RANGE] for name in depthwise(graph)}},
        )
    _keep_properties(graph, target)
    return target


def precision_of(path: Path) -> Literal["fp32", "int8"]:
    """`int8` where the graph at `path` quantises anything, else `fp32`."""
    operators = {node.op_type for node in onnx.load(path, load_external_data=False).graph.node}
    return "int8" if "QuantizeLinear" in operators else "fp32"


def _keep_properties(graph: Path, target: Path) -> None:
    """What `graph` says of its origin holds for `target` too; what the quantiser notes about itself goes."""
    origin = {entry.key: entry.value for entry in onnx.load(graph, load_external_data=False).metadata_props}
    written = onnx.load(target)
    del written.metadata_props[:]
    onnx.helper.set_model_props(written, origin)
    onnx.checker.check_model(written, full_check=True)
    onnx.save(written, target)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice to pre-process from the terminal: the export folds batch norms already."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
