import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from training.losses import distillation_loss, outline_loss, partial_label_loss

LOGITS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([0, 1, 2, 3, 0, 1])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_with_one_allowed_class_it_is_cross_entropy(smoothing: float) -> None:
    loss = partial_label_loss(LOGITS, one_hot(TARGETS, 4).bool(), smoothing)
    torch.testing.assert_close(loss, cross_entropy(LOGITS, TARGETS, label_smoothing=smoothing))


def test_with_several_allowed_classes_it_is_minus_log_of_their_sum() -> None:
    allowed = torch.tensor([[True, True, False, True]] * 6)
    wanted = -LOGITS.softmax(dim=1)[:, [0, 1, 3]].sum(dim=1).log().mean()
    torch.testing.assert_close(partial_label_loss(LOGITS, allowed, 0.1), wanted)


def test_with_every_class_allowed_there_is_nothing_to_learn() -> None:
    logits = LOGITS.clone().requires_grad_()
    partial_label_loss(logits, torch.ones(6, 4, dtype=torch.bool)).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.zeros(6, 4))


def test_who_answers_as_the_teachers_do_has_nothing_to_learn() -> None:
    taught = (LOGITS / 3).softmax(dim=1)
    assert float(distillation_loss(LOGITS, taught, 3.0)) == pytest.approx(0, abs=1e-6)


def test_distillation_is_cross_entropy_with_soft_labels_but_for_a_constant() -> None:
    other = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    taught = (other / 2).softmax(dim=1)
    entropy = -(taught * taught.log()).sum(dim=1).mean()
    wanted = 4 * (cross_entropy(LOGITS / 2, taught) - entropy)
    torch.testing.assert_close(distillation_loss(LOGITS, taught, 2.0), wanted)


def test_an_outline_that_is_found_costs_little_and_one_that_is_missed_much() -> None:
    masks = torch.zeros(1, 1, 8, 8)
    masks[:, :, :4, :4] = 1
    right = torch.tensor([[[[9.0, -9.0], [-9.0, -9.0]]]])
    assert outline_loss(right, masks, torch.tensor([True])) < 0.01
    assert outline_loss(-right, masks, torch.tensor([True])) > 5


def test_slices_without_an_outline_do_not_count() -> None:
    logits, masks = torch.randn(3, 1, 2, 2), torch.rand(3, 1, 8, 8)
    alone = outline_loss(logits[1:2], masks[1:2], torch.tensor([True]))
    assert torch.isclose(outline_loss(logits, masks, torch.tensor([False, True, False])), alone)
    assert outline_loss(logits, masks, torch.zeros(3, dtype=torch.bool)) == 0
