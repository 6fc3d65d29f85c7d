import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, precision_score, recall_score, roc_auc_score

from training import scores
from training.scores import Floats, Ints


@pytest.fixture
def answered() -> tuple[Floats, Ints]:
    draws = np.random.default_rng(3)
    targets = draws.integers(4, size=200)
    logits = np.round(draws.normal(size=(200, 4)) + 1.5 * np.eye(4)[targets], 1)
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), targets


def test_a_confusion_matrix_counts_targets_by_row_and_answers_by_column() -> None:
    matrix = scores.confusion_matrix(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 2]), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert scores.accuracy(matrix) == 0.75


def test_precision_recall_and_f1_are_those_of_scikit_learn(answered: tuple[Floats, Ints]) -> None:
    probs, targets = answered
    answers = probs.argmax(axis=1)
    precision, recall, f1 = scores.precision_recall_f1(scores.confusion_matrix(answers, targets, 4))
    assert precision == pytest.approx(precision_score(targets, answers, average=None))
    assert recall == pytest.approx(recall_score(targets, answers, average=None))
    assert f1 == pytest.approx(f1_score(targets, answers, average=None))


def test_a_class_that_is_never_answered_scores_zero() -> None:
    precision, recall, f1 = scores.precision_recall_f1(scores.confusion_matrix(np.array([0, 0]), np.array([0, 1]), 2))
    assert (precision[1], recall[1], f1[1]) == (0, 0, 0)


def test_auroc_is_that_of_scikit_learn_ties_included(answered: tuple[Floats, Ints]) -> None:
    probs, targets = answered
    wanted = roc_auc_score(targets, probs, multi_class="ovr", average="macro")
    assert scores.auroc(probs, targets) == pytest.approx(wanted)


def test_a_constant_answer_has_auroc_one_half() -> None:
    assert scores.auroc(np.full((6, 2), 0.5), np.array([0, 1, 1, 0, 1, 0])) == 0.5


def test_negative_log_likelihood_is_that_of_scikit_learn(answered: tuple[Floats, Ints]) -> None:
    probs, targets = answered
    assert scores.negative_log_likelihood(probs, targets) == pytest.approx(log_loss(targets, probs))


def test_ece_is_the_gap_between_promise_and_truth() -> None:
    probs = np.array([[0.9, 0.1]] * 10)
    targets = np.array([0] * 7 + [1] * 3)
    assert scores.expected_calibration_error(probs, targets) == pytest.approx(0.2)


def test_ece_weighs_bins_by_their_slices() -> None:
    probs = np.array([[0.9, 0.1]] * 3 + [[0.6, 0.4]])
    targets = np.array([0, 0, 0, 1])
    assert scores.expected_calibration_error(probs, targets) == pytest.approx((3 * 0.1 + 0.6) / 4)


def test_ece_of_certain_right_answers_is_zero() -> None:
    assert scores.expected_calibration_error(np.eye(3), np.arange(3)) == 0


def test_brier_runs_from_zero_to_two() -> None:
    assert scores.brier(np.eye(2), np.array([0, 1])) == 0
    assert scores.brier(np.eye(2), np.array([1, 0])) == 2
    assert scores.brier(np.full((2, 2), 0.5), np.array([1, 0])) == 0.5
