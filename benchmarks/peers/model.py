"""What every peer serves: the same bundle, by the contract's own functions, so that answers can be compared."""

import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import onnxruntime as ort
from PIL import Image

from service.contract.card import MODEL_FILE, read_card
from service.contract.preprocess import Slice, preprocess
from service.contract.probabilities import probabilities


class Model:
    """One ONNX Runtime session; None `threads` leaves the choice to ONNX Runtime, which takes every core."""

    def __init__(self, threads: int | None = None) -> None:
        bundle = Path(os.environ["BENCH_BUNDLE"])
        self._card = read_card(bundle)
        options = ort.SessionOptions()
        if threads:
            options.intra_op_num_threads = threads
        self._session = ort.InferenceSession(bundle / MODEL_FILE, options, providers=["CPUExecutionProvider"])
        self.predict([np.zeros((self._card.input.height, self._card.input.width), np.uint8)])

    def prepare(self, content: bytes) -> Slice:
        """The network's input from a picture's bytes."""
        with Image.open(BytesIO(content)) as picture:
            return self.shrink(picture)

    def shrink(self, picture: Image.Image) -> Slice:
        """The network's input from a picture."""
        return preprocess(picture, self._card.input)

    def predict(self, slices: Sequence[Slice]) -> list[dict[str, float]]:
        """Each slice's probabilities by class."""
        (logits,) = self._session.run([self._card.outputs.logits], {"image": np.stack(slices)})
        found = probabilities(logits, self._card.temperature).tolist()
        return [dict(zip(self._card.class_names, each, strict=True)) for each in found]
