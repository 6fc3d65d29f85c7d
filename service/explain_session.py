"""ONNX Runtime on a gradient graph: the network and a layer's gradients, for a target that goes in beside the image."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

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
    """A session whose graph takes `target` (N,) beside the image and answers for `layer` too."""

    def __init__(self, path: Path, plan: Plan, layer: str, logits: str = "logits") -> None:
        self.layer = layer
        self.answer_bytes = 0
        """Bytes of one answer's activations and gradients in float32, once warm."""
        self._names = [logits, f"activations:{layer}", f"gradients:{layer}"]
        super().__init__(path, plan, logits)

    def open(self) -> None:
        """Open the graph, or open it anew."""
        super().open()
        self._input = next(each for each in self._session.get_inputs() if each.name != "target")

    def run(self, slices: Sequence[Slice]) -> Logits:
        """Logits (N, classes), for the golden answers to hold of this graph too."""
        questions = [Question(pixels, PREDICTED, self.layer) for pixels in slices]
        return np.stack([answer.logits for answer in self.explain(questions)])

    def explain(self, questions: Sequence[Question]) -> list[Gradients]:
        """One answer a question about this layer, in order; questions of one run may differ in target."""
        batch = self._padded([question.pixels for question in questions])
        targets = np.full(len(batch), PREDICTED, np.int64)
        targets[: len(questions)] = [question.target for question in questions]
        outputs = self._compute(self._names, {self._input.name: batch, "target": targets})
        return [Gradients(*(output[place] for output in outputs)) for place in range(len(questions))]

    def warm_up(self, height: int, width: int, classes: int) -> None:
        """Run every bucket once; raises `ValueError` also where target, activations or gradients are not the card's."""
        tensors = {each.name for each in [*self._session.get_inputs(), *self._session.get_outputs()]}
        if missing := {"target", *self._names} - tensors:
            raise ValueError(f"the graph lacks {', '.join(sorted(missing))}")
        super().warm_up(height, width, classes)
        blank = np.zeros((height, width), np.uint8)
        (answer,) = self.explain([Question(blank, PREDICTED, self.layer)])
        if answer.activations.ndim != 3 or answer.activations.shape != answer.gradients.shape:
            raise ValueError(f"activations {answer.activations.shape}, gradients {answer.gradients.shape}")
        self.answer_bytes = 4 * (answer.activations.size + answer.gradients.size)


def explain_each(sessions: Mapping[str, ExplainSession], questions: Sequence[Question]) -> list[Gradients]:
    """One answer a question, in order; questions about one layer share a run of that layer's session."""
    answers: dict[int, Gradients] = {}
    for layer in {question.layer for question in questions}:
        places = [place for place, question in enumerate(questions) if question.layer == layer]
        answers.update(zip(places, sessions[layer].explain([questions[place] for place in places]), strict=True))
    return [answers[place] for place in range(len(questions))]
