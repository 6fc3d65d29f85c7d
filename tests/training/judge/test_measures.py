import numpy as np
import pytest

from training.judge.choice import choose
from training.judge.measures import THRESHOLDS, Agreement, Floats, agreement, energy, ious, pointing

INSIDE = np.zeros((20, 20), np.bool_)
INSIDE[5:10, 5:10] = True


def heatmap(row: int, column: int, size: int = 1) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    found = np.zeros((20, 20), np.float32)
    found[row : row + size, column : column + size] = 1
    return found


def test_pointing_has_no_tolerance() -> None:
    assert pointing(heatmap(9, 9), INSIDE) == 1
    assert pointing(heatmap(10, 9), INSIDE) == 0


def test_energy_is_the_share_inside() -> None:
    assert energy(heatmap(5, 5, 10), INSIDE) == pytest.approx(25 / 100)


def test_a_map_without_evidence_is_worth_nothing() -> None:
    empty = np.zeros((20, 20), np.float32)
    assert (pointing(empty, INSIDE), energy(empty, INSIDE), ious(empty, INSIDE).max()) == (0, 0, 0)


def test_iou_is_that_of_the_pixels_from_each_threshold_on() -> None:
    found = np.random.default_rng(1).integers(0, 21, (20, 20)).astype(np.float32) / np.float32(20)
    wanted = [
        ((found >= threshold - 1e-6) & INSIDE).sum() / ((found >= threshold - 1e-6) | INSIDE).sum()
        for threshold in THRESHOLDS
    ]
    assert ious(found, INSIDE) == pytest.approx(wanted)


def test_every_tumour_is_held_against_its_own_outline() -> None:
    insides = np.stack([INSIDE, ~INSIDE])
    assert agreement(lambda place: heatmap(*((7, 7), (0, 0))[place]), insides).pointing.tolist() == [1, 1]
    assert agreement(lambda place: heatmap(*((0, 0), (7, 7))[place]), insides).pointing.tolist() == [0, 0]


def agreed(pointing: float, best: int) -> Agreement:
    curve: Floats = np.zeros((4, len(THRESHOLDS)))
    curve[:, best] = 0.5
    return Agreement(np.full(4, pointing), np.full(4, 0.2), curve)


def test_the_default_is_the_best_overall_and_never_a_prior() -> None:
    choice = choose({"a/last": agreed(0.1, 3), "b/finer": agreed(0.6, 7), "disc": agreed(1.0, 2)}, ("disc",))
    assert choice.default == "b/finer"
    assert [choice.threshold(name) for name in ("b/finer", "disc")] == pytest.approx([0.4, 0.15])
    assert choice.scores["b/finer"] == pytest.approx((0.6 + 0.2 + 0.5) / 3)
