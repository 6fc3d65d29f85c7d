"""How far a graph's activations reach on training slices: what 8-bit integers must span."""

import tempfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from onnxruntime.quantization.calibrate import CalibrationDataReader, CalibrationMethod, TensorsData, create_calibrator

from training.data.slices import Slices

OPERATORS = ("Conv", "Clip", "Add")
"""What becomes integers. Cast and normalisation before them, pooling and the head behind them stay float: they cost
next to nothing, and the logits keep their resolution."""
METHODS: Mapping[str, tuple[CalibrationMethod, Mapping[str, Any]]] = MappingProxyType(
    {
        "minmax": (CalibrationMethod.MinMax, {}),
        "entropy": (CalibrationMethod.Entropy, {}),
        "percentile": (CalibrationMethod.Percentile, {"percentile": 99.99, "symmetric": False}),
    }
)
"""All that was seen; what loses the least information in 8 bits (TensorRT's way); all but the outermost values."""
BATCH = 4
"""Slices at once: every activation of them is held in memory."""


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    """One batch, once."""

    def __init__(self, batch: npt.NDArray[np.uint8]) -> None:
        self._batches = [{"image": np.ascontiguousarray(batch)}]

    def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
        """The batch, then None."""
        return self._batches.pop() if self._batches else None


def find_ranges(graph: Path, pixels: npt.NDArray[np.uint8], method: str) -> TensorsData:
    """The range of every activation of `graph` on `pixels` (N, h, w), by one of `METHODS`."""
    kind, options = METHODS[method]
    with tempfile.TemporaryDirectory() as room, redirect_stdout(StringIO()):  # the calibrators print as they go
        augmented = str(Path(room) / "augmented.onnx")
        calibrator = create_calibrator(graph, OPERATORS, augmented, kind, extra_options=options)
        for start in range(0, len(pixels), BATCH):
            calibrator.collect_data(_Reader(pixels[start : start + BATCH]))
        return calibrator.compute_data()


def pick(slices: Slices, each: int, seed: int) -> npt.NDArray[np.uint8]:
    """Pixels of `each` slices of every class, or of all there are, drawn by `seed`."""
    draws = np.random.default_rng(seed)
    known = np.flatnonzero(slices.known)
    classes = (known[slices.targets[known] == place] for place in range(slices.allowed.shape[1]))
    chosen = np.concatenate([draws.permutation(members)[:each] for members in classes])
    return np.asarray(slices.pixels[np.sort(chosen)])
