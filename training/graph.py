"""The exported graph in ONNX Runtime, as training's steps ask it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime

Floats = npt.NDArray[np.float32]


class Answer(NamedTuple):
    """Logits (N, classes) and embedding (N, features)."""

    logits: Floats
    embedding: Floats


class Graph:
    """One ONNX file on the CPU: slices (N, h, w) uint8 to `Answer`."""

    def __init__(self, path: Path) -> None:
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def __call__(self, slices: npt.NDArray[np.uint8], batch_size: int = 1) -> Answer:
        """Answer all slices, `batch_size` at a time; one at a time is what a lone request to the service gets."""
        starts = range(0, len(slices), batch_size)
        parts = [self._run(slices[start : start + batch_size]) for start in starts]
        return Answer(*(np.concatenate(outputs) for outputs in zip(*parts, strict=True)))

    def _run(self, batch: npt.NDArray[np.uint8]) -> Answer:
        return Answer(*self._session.run(["logits", "embedding"], {"image": np.ascontiguousarray(batch)}))
