from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from service.contract.card import Explain
from service.explain_session import PREDICTED, ExplainSession, Question
from service.session import CPU, Plan, Session
from tests.bundles import CLASSES, SIZE, write_model
from tests.explainable import COARSE, FINE, OFFER, answers, draw_weights, gradients, write_graph

PLAN = Plan(CPU, 1, 1, 8, (2, 8))


@pytest.fixture
def session(tmp_path: Path) -> ExplainSession:
    write_graph(tmp_path / "explain.onnx", draw_weights(), explain=True)
    return ExplainSession(tmp_path / "explain.onnx", PLAN, Explain.model_validate(OFFER))


def slices(count: int) -> list[npt.NDArray[np.uint8]]:
    return list(np.random.default_rng(4).integers(0, 256, (count, SIZE, SIZE), np.uint8))


def test_every_question_gets_its_own_answer_by_the_closed_form(session: ExplainSession) -> None:
    targets, layers = (3, PREDICTED, 0, 1, 2, PREDICTED, 3), (COARSE, FINE) * 4
    questions = [Question(*each) for each in zip(slices(7), targets, layers, strict=False)]
    for question, answer in zip(questions, session.explain(questions), strict=True):
        forward = answers(question.pixels, draw_weights())
        target = int(forward["logits"].argmax()) if question.target == PREDICTED else question.target
        assert np.allclose(answer.logits, forward["logits"], atol=1e-4)
        assert np.allclose(answer.activations, forward[question.layer], atol=1e-5)
        assert np.allclose(answer.gradients, gradients(question.pixels, draw_weights(), target)[question.layer])


def test_the_forward_answers_are_the_plain_graphs(tmp_path: Path, session: ExplainSession) -> None:
    write_graph(tmp_path / "model.onnx", draw_weights(), explain=False)
    plain = Session(tmp_path / "model.onnx", PLAN)
    assert np.allclose(session.run(slices(5)), plain.run(slices(5)), atol=1e-5)


def test_warming_up_accepts_the_graph_the_card_describes(session: ExplainSession) -> None:
    session.warm_up(SIZE, SIZE, len(CLASSES))


def test_warming_up_refuses_a_graph_without_the_cards_layer(tmp_path: Path) -> None:
    write_graph(tmp_path / "explain.onnx", draw_weights(), explain=True)
    offer = Explain.model_validate(OFFER | {"layers": [COARSE, "conv9"]})
    with pytest.raises(ValueError, match="conv9"):
        ExplainSession(tmp_path / "explain.onnx", PLAN, offer).warm_up(SIZE, SIZE, len(CLASSES))


def test_a_graph_without_a_target_cannot_explain(tmp_path: Path) -> None:
    write_model(tmp_path / "plain.onnx")
    with pytest.raises(ValueError, match="target"):
        ExplainSession(tmp_path / "plain.onnx", PLAN, Explain.model_validate(OFFER)).warm_up(SIZE, SIZE, len(CLASSES))
