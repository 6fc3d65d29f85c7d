import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from training.batches import Batch
from training.config import OptimizerConfig, Recipe
from training.learner import Learner
from training.networks.classifier import Classifier, Output
from training.processes import Processes

N = 10


class Cramped(Classifier):
    """A network without batch norm that has room for three slices at once."""

    def with_features(self, slices: Tensor) -> tuple[Output, Tensor]:
        if len(slices) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super().with_features(slices)


def batch() -> Batch:
    draws = torch.Generator().manual_seed(4)
    allowed = torch.nn.functional.one_hot(torch.arange(N) % 4, 4).bool()
    allowed[3] = torch.tensor([True, True, False, True])
    masks = (torch.rand(N, 1, 32, 32, generator=draws) > 0.9).float()
    outlined = torch.tensor([True, False] * 4 + [False] * 2)
    return Batch(torch.rand(N, 32, 32, generator=draws) * 255, allowed, allowed.flip(0), masks, outlined, 0.7)


def learner_of(recipe: Recipe, kind: type[Classifier], **choices: Any) -> Learner:
    torch.manual_seed(2)
    config = OptimizerConfig(kind="sgd", learning_rate=0.1, average=0.5, warmup_epochs=0, **choices)
    changed = recipe.model_copy(update={"optimizer": config})
    return Learner(kind("sequential_1", 4, size=32), changed, Processes(), steps=2)


@pytest.mark.parametrize("choices", [{"outline_weight": 2.0}, {"theta": 0.4}])
def test_gradients_of_parts_add_up_to_those_of_the_whole_batch(recipe: Recipe, choices: dict[str, Any]) -> None:
    whole, cramped = learner_of(recipe, Classifier, **choices), learner_of(recipe, Cramped, **choices)
    told = [learner.step(batch()) for learner in (whole, cramped)]
    assert (len(told[0][0]), len(told[1][0])) == (1, 4)
    assert cramped.parts.size == 3
    torch.testing.assert_close(told[1][1], told[0][1])
    torch.testing.assert_close(sum(told[1][0]), sum(told[0][0]))
    for ours, theirs in zip(cramped.network.parameters(), whole.network.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-7)
    outlines = zip(cramped.outline.parameters(), whole.outline.parameters(), strict=True)
    assert all(torch.allclose(ours, theirs, atol=1e-6) for ours, theirs in outlines)


def test_a_learner_that_goes_on_keeps_the_parts_that_fitted(recipe: Recipe) -> None:
    """Otherwise it would fail once more, and dropout draw other numbers than in a run that was not interrupted."""
    first, again = (learner_of(recipe, Cramped) for _ in range(2))
    first.step(batch())
    again.load(first.state())
    assert again.parts.size == first.parts.size == 3


@pytest.mark.parametrize("kind", ["adamw", "adam", "sgd"])
def test_every_optimizer_lowers_the_loss(recipe: Recipe, kind: str) -> None:
    torch.manual_seed(2)
    rate = 0.02 if kind == "sgd" else 1e-3
    chosen = OptimizerConfig.model_validate({"kind": kind, "learning_rate": rate, "warmup_epochs": 0})
    changed = recipe.model_copy(update={"optimizer": chosen})
    learner = Learner(Classifier("sequential_1", 4, size=32), changed, Processes(), steps=10)
    losses = [float(sum(learner.step(batch()._replace(share=1.0))[0])) for _ in range(10)]
    assert losses[-1] < losses[0]


def test_weights_that_were_cut_to_zero_stay_zero(recipe: Recipe) -> None:
    torch.manual_seed(2)
    network = Classifier("sequential_1", 4, size=32)
    with torch.no_grad():
        network.head.weight[:, ::2] = 0
    before = copy.deepcopy(network.head.weight)
    learner = Learner(network, recipe.model_copy(update={"keep_zeros": True}), Processes(), steps=2)
    learner.step(batch())
    assert not network.head.weight[:, ::2].any()
    assert not torch.equal(network.head.weight, before)
