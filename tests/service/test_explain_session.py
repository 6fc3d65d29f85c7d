from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from service.explain_session import PREDICTED, ExplainSession, Question, explain_each
from service.session import CPU, Plan, Session
from tests.bundles import CLASSES, SIZE, write_model
from tests.explainable import COARSE, FINE, answers, draw_weights, gradients, write_graph

PLAN = Plan(CPU, 1, 1, 8, (2, 8))


@pytest.fixture
def sessions(tmp_path: Path) -> dict[str, ExplainSession]:
    for layer in (COARSE, FINE):
        write_graph(tmp_path / f"{layer}.onnx", draw_weights(), layer)
    return {layer: ExplainSession(tmp_path / f"{layer}.onnx", PLAN, layer) for layer in (COARSE, FINE)}


def slices(count: int) -> list[npt.NDArray[np.uint8]]:
    return list(np.random.default_rng(4).integers(0, 256, (count, SIZE, SIZE), np.uint8))


def test_every_question_gets_its_own_answer_by_the_closed_form(sessions: dict[str, ExplainSession]) -> None:
    targets, layers = (3, PREDICTED, 0, 1, 2, PREDICTED, 3), (COARSE, FINE) * 4
    questions = [Question(*each) for each in zip(slices(7), targets, layers, strict=False)]
    for question, answer in zip(questions, explain_each(sessions, questions), strict=True):
        forward = answers(question.pixels, draw_weights())
        target = int(forward["logits"].argmax()) if question.target == PREDICTED else question.target
        assert np.allclose(answer.logits, forward["logits"], atol=1e-4)
        assert np.allclose(answer.activations, forward[question.layer], atol=1e-5)
        assert np.allclose(answer.gradients, gradients(question.pixels, draw_weights(), target)[question.layer])


def test_the_forward_answers_are_the_plain_graphs(tmp_path: Path, sessions: dict[str, ExplainSession]) -> None:
    write_graph(tmp_path / "model.onnx", draw_weights())
    plain = Session(tmp_path / "model.onnx", PLAN)
    for session in sessions.values():
        assert np.allclose(session.run(slices(5)), plain.run(slices(5)), atol=1e-5)


def test_warming_up_accepts_the_graph_the_card_describes(sessions: dict[str, ExplainSession]) -> None:
    for session in sessions.values():
        session.warm_up(SIZE, SIZE, len(CLASSES))


def test_warming_up_refuses_a_graph_without_the_cards_layer(tmp_path: Path) -> None:
    write_graph(tmp_path / "explain.onnx", draw_weights(), COARSE)
    with pytest.raises(ValueError, match="conv9"):
        ExplainSession(tmp_path / "explain.onnx", PLAN, "conv9").warm_up(SIZE, SIZE, len(CLASSES))


def test_a_graph_without_a_target_cannot_explain(tmp_path: Path) -> None:
    write_model(tmp_path / "plain.onnx")
    with pytest.raises(ValueError, match="target"):
        ExplainSession(tmp_path / "plain.onnx", PLAN, COARSE).warm_up(SIZE, SIZE, len(CLASSES))
