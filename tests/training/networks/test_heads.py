import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from service.contract.probabilities import probabilities
from training.losses import partial_label_loss
from training.networks.heads import SigmoidHead, new_head

EMBEDDING = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)) * 4
TUMOR = torch.tensor([0, 1, 1, 0, 1, 0, 0])


@pytest.fixture
def head() -> SigmoidHead:
    torch.manual_seed(3)
    return SigmoidHead(5)


def test_the_service_s_softmax_of_the_pair_is_the_sigmoid(head: SigmoidHead) -> None:
    wanted = torch.sigmoid(head.score(EMBEDDING)[:, 0].double()).detach().numpy()
    answered = probabilities(head(EMBEDDING).detach().numpy(), 1.0)
    assert np.allclose(answered[:, 1], wanted, rtol=1e-12, atol=0)
    assert np.allclose(answered.sum(axis=1), 1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_its_loss_is_binary_cross_entropy(head: SigmoidHead, smoothing: float) -> None:
    loss = partial_label_loss(head(EMBEDDING), torch.nn.functional.one_hot(TUMOR, 2).bool(), smoothing)
    smoothed = TUMOR * (1 - smoothing) + smoothing / 2
    torch.testing.assert_close(loss, binary_cross_entropy_with_logits(head.score(EMBEDDING)[:, 0], smoothed))


def test_it_is_a_linear_head_whose_first_row_is_zero(head: SigmoidHead) -> None:
    torch.testing.assert_close(head(EMBEDDING), EMBEDDING @ head.weight.T + head.bias)


def test_more_than_two_classes_need_a_softmax() -> None:
    assert new_head(5, 4, sigmoid=False).weight.shape == (4, 5)
    with pytest.raises(ValueError, match="two classes"):
        new_head(5, 4, sigmoid=True)
