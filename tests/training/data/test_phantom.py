import numpy as np
import pytest

from training.data.phantom import PLACES, draw_phantom


def test_the_same_seed_draws_the_same_head() -> None:
    first, again = (np.asarray(draw_phantom("glioma", (90, 70), 3)) for _ in range(2))
    other = np.asarray(draw_phantom("glioma", (90, 70), 4))
    assert (first == again).all()
    assert (first != other).any()


def test_a_head_is_grey_of_the_size_asked_on_a_dark_ground() -> None:
    head = draw_phantom("no_tumor", (90, 70), 0)
    assert (head.mode, head.size) == ("L", (90, 70))
    assert np.asarray(head)[[0, 0, -1, -1], [0, -1, 0, -1]].max() < 16


@pytest.mark.parametrize("label", PLACES)
def test_a_tumour_is_brighter_than_the_head_without_it(label: str) -> None:
    ill, well = (np.asarray(draw_phantom(name, (200, 200), 5)).astype(int) for name in (label, "no_tumor"))
    assert np.count_nonzero(ill - well > 80) > 50
