"""ONNX Runtime on `explain.onnx`: the network and its gradients, a session that takes a target beside the image."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.contract.card import Explain
from service.session import Logits, Plan, Session, Slice

PREDICTED = -1
"""The target that stands for whichever class the graph itself predicts."""

Floats = npt.NDArray[np.float32]


class Question(NamedTuple):
    """One slice, the class to explain (its logit's index, or `PREDICTED`) and the layer to look at."""

    pixels: Slice
    target: int
    layer: str


class Gradients(NamedTuple):
    """The answer to one question: logits (classes), activations and gradients (K, h, w) of the layer."""

    logits: Floats
    activations: Floats
    gradients: Floats


class ExplainSession(Session):
    """A session whose graph takes `target` (N,) beside the image and answers for each layer on `offer` too."""

    def __init__(self, path: Path, plan: Plan, offer: Explain, logits: str = "logits") -> None:
        super().__init__(path, plan, logits)
        self.offer = offer
        self._input = next(each for each in self._session.get_inputs() if each.name != "target")

    def run(self, slices: Sequence[Slice]) -> Logits:
        """Logits (N, classes), for the golden answers to hold of this graph too."""
        questions = [Question(pixels, PREDICTED, self.offer.default_layer) for pixels in slices]
        return np.stack([answer.logits for answer in self.explain(questions)])

    def explain(self, questions: Sequence[Question]) -> list[Gradients]:
        """One answer a question, in order; questions of one run may differ in target and layer."""
        batch = self._padded([question.pixels for question in questions])
        targets = np.full(len(batch), PREDICTED, np.int64)
        targets[: len(questions)] = [question.target for question in questions]
        names = self._names({question.layer for question in questions})
        outputs = self._session.run(names, {self._input.name: batch, "target": targets})
        answers = dict(zip(names, outputs, strict=True))
        return [self._answer(answers, place, question.layer) for place, question in enumerate(questions)]

    def warm_up(self, height: int, width: int, classes: int) -> None:
        """Run every bucket once; raises `ValueError` also where target, activations or gradients are not the card's."""
        tensors = {each.name for each in [*self._session.get_inputs(), *self._session.get_outputs()]}
        if missing := {"target", *self._names(self.offer.layers)} - tensors:
            raise ValueError(f"the graph lacks {', '.join(sorted(missing))}")
        super().warm_up(height, width, classes)
        blank = np.zeros((height, width), np.uint8)
        for answer in [self.explain([Question(blank, PREDICTED, layer)])[0] for layer in self.offer.layers]:
            if answer.activations.ndim != 3 or answer.activations.shape != answer.gradients.shape:
                raise ValueError(f"activations {answer.activations.shape}, gradients {answer.gradients.shape}")

    def _answer(self, answers: dict[str, Floats], place: int, layer: str) -> Gradients:
        return Gradients(*(np.asarray(answers[name][place]) for name in self._names([layer])))

    def _names(self, layers: Iterable[str]) -> list[str]:
        return [self._logits, *(f"{kind}:{layer}" for layer in layers for kind in ("activations", "gradients"))]
