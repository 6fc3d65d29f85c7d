from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from service.bound_session import BoundSession
from service.session import CPU, OutOfMemory, Plan, Session, make_plan
from tests.bundles import CLASSES, SIZE, write_hungry_model, write_model
from tests.service.test_memory import slices as greedy
from tests.service.test_session import slices

PADDED = Plan(CPU, 1, 1, 8, (1, 2, 4, 8))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_model(tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_fixed_buffers_and_padding_change_no_answer(model: Path) -> None:
    plain, bound = Session(model, make_plan(CPU, 1, max_batch_size=8)), BoundSession(model, PADDED)
    for seed, count in enumerate((8, 3, 1, 5, 8, 2, 7, 1)):
        answers = bound.run(slices(count, seed))
        assert answers.shape == (count, len(CLASSES))
        assert np.allclose(answers, plain.run(slices(count, seed)), atol=1e-5)


def test_an_answer_is_not_overwritten_by_the_next_run(model: Path) -> None:
    session = BoundSession(model, PADDED)
    first = session.run(slices(3, 1))
    kept = first.copy()
    session.run(slices(3, 2))
    assert np.array_equal(first, kept)


def test_threads_that_share_the_buffers_get_their_own_answers(model: Path) -> None:
    session, plain = BoundSession(model, PADDED), Session(model, make_plan(CPU, 1, max_batch_size=4))
    batches = [slices(1 + seed % 4, seed) for seed in range(80)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(session.run, batches))
    for batch, answer in zip(batches, together, strict=True):
        assert np.allclose(answer, plain.run(batch), atol=1e-5)


def test_opened_anew_it_answers_from_buffers_of_its_own(model: Path) -> None:
    session, batch = BoundSession(model, PADDED), slices(3, 1)
    before, hung = session.run(batch), session._opened
    assert hung is not None
    with hung.turn:  # as a run that hangs holds it
        session.open()
        assert np.array_equal(session.run(batch), before)
        assert session._opened is not None
        assert session._opened.bound[4].host.ctypes.data != hung.bound[4].host.ctypes.data
    session.close()
    assert not session.is_open
    with pytest.raises(RuntimeError, match="closed"):
        session.run(batch)


def test_a_run_without_memory_is_told_here_too(tmp_path: Path) -> None:
    write_hungry_model(tmp_path / "model.onnx")
    with pytest.raises(OutOfMemory):
        BoundSession(tmp_path / "model.onnx", PADDED).run(greedy(1, 1))


def test_warming_up_checks_the_graph_against_the_card_here_too(model: Path) -> None:
    BoundSession(model, PADDED).warm_up(SIZE, SIZE, len(CLASSES))
    with pytest.raises(ValueError, match="answers"):
        BoundSession(model, PADDED).warm_up(SIZE, SIZE, 5)
