import numpy as np
import pytest

from service.contract.probabilities import probabilities, tumor_probability

NAMES = ("glioma", "meningioma", "no_tumor", "pituitary")


def test_they_sum_to_one_and_keep_the_order() -> None:
    logits = np.random.default_rng(0).normal(0, 30, (50, 4)).astype(np.float32)
    probs = probabilities(logits, 1.7)
    assert np.allclose(probs.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert np.array_equal(probs.argmax(axis=1), logits.argmax(axis=1))


def test_equal_logits_are_equally_probable() -> None:
    assert probabilities([2.0, 2.0], 3.0).tolist() == [0.5, 0.5]


def test_a_temperature_of_two_halves_the_logits() -> None:
    assert np.allclose(probabilities([4.0, 0.0], 2.0), probabilities([2.0, 0.0], 1.0))


def test_huge_logits_do_not_overflow() -> None:
    assert probabilities([1e6, 0.0], 1.0).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        probabilities([[1.0, bad]], 1.0)


def test_the_tumour_probability_is_all_but_no_tumor() -> None:
    probs = probabilities(np.random.default_rng(1).normal(0, 2, (20, 4)), 1.0)
    assert np.allclose(tumor_probability(probs, NAMES), 1 - probs[:, 2])
