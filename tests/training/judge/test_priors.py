import numpy as np

from service.contract.geometry import peak_of
from training.judge.priors import brain_edge, centred_disc, fill


def test_the_disc_is_highest_in_the_middle_and_the_same_all_around() -> None:
    disc = centred_disc(40)
    assert peak_of(disc) in {(19, 19), (20, 20), (19, 20), (20, 19)}
    assert np.allclose(disc, disc[::-1])
    assert np.allclose(disc, disc.T)
    assert disc[0, 0] == 0


def test_the_edge_is_highest_on_the_heads_outline_though_the_head_is_hollow() -> None:
    rows, columns = np.indices((100, 100))
    distance = np.hypot(rows - 50, columns - 50)
    head = np.where((distance < 40) & (distance > 30), 200, 0).astype(np.uint8)
    edge = brain_edge(head)
    assert edge[50, 90] > 0.9
    assert edge[50, 50] < 0.01
    assert edge[0, 0] < 0.01


def test_a_picture_without_a_head_has_no_edge_that_is_no_number() -> None:
    assert np.isfinite(brain_edge(np.zeros((40, 40), np.uint8))).all()


def test_filling_closes_what_has_something_bright_on_every_side() -> None:
    ring = np.zeros((5, 5), np.bool_)
    ring[1:4, 1:4] = True
    filled = ring.copy()
    ring[2, 2] = False
    assert np.array_equal(fill(ring), filled)
