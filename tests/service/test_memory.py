from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from service.errors import NotReady
from service.memory import halved_at_need
from service.session import CPU, Logits, OutOfMemory, Session, Slice, make_plan
from tests.bundles import SIZE, write_hungry_model, write_model


@pytest.fixture
def session(tmp_path: Path) -> Session:
    write_hungry_model(tmp_path / "model.onnx")
    return Session(tmp_path / "model.onnx", make_plan(CPU, 1, max_batch_size=4))


def slices(*greed: int) -> list[npt.NDArray[np.uint8]]:
    """A slice for each amount of greed."""
    drawn = np.random.default_rng(3).integers(0, 250, (len(greed), SIZE, SIZE), np.uint8)
    drawn[:, 0, 0] = [253 + each if each else 0 for each in greed]
    return list(drawn)


def rows_of(session: Session) -> Callable[[Sequence[Slice]], list[Logits]]:
    """A session's run with its answers in a list."""

    def run(batch: Sequence[Slice]) -> list[Logits]:
        return list(session.run(batch))

    return run


def test_a_run_without_memory_is_told_from_other_failures(session: Session) -> None:
    with pytest.raises(OutOfMemory):
        session.run(slices(1, 1))
    with pytest.raises(Exception, match="INVALID_ARGUMENT"):
        session.run([np.zeros((SIZE, SIZE + 1), np.uint8)])


def test_a_batch_too_large_for_the_memory_is_answered_in_halves(session: Session, tmp_path: Path) -> None:
    write_model(tmp_path / "plain.onnx")
    plain = Session(tmp_path / "plain.onnx", make_plan(CPU, 1, max_batch_size=4))
    for greed in ((1, 1), (1, 0, 1), (0, 1, 1, 0)):
        batch = slices(*greed)
        answers = np.array(halved_at_need(rows_of(session))(batch))
        assert np.allclose(answers, plain.run(batch), atol=1e-4)


@pytest.mark.parametrize("greed", [(2,), (0, 2), (1, 1, 1, 1)])
def test_where_halves_are_too_large_as_well_it_gives_up(session: Session, greed: tuple[int, ...]) -> None:
    with pytest.raises(NotReady, match="out of memory"):
        halved_at_need(rows_of(session))(slices(*greed))
