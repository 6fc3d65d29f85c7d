import pytest
import torch
from torch import nn

from training.average import new_average
from training.config import OptimizerConfig


def weights_after(steps: list[float], *, unbiased: bool) -> list[float]:
    """The average's weight and its batch norm's mean after each of these steps."""
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = new_average(network, OptimizerConfig(average=0.9, average_unbiased=unbiased))
    norm = network[1]
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.running_mean is not None
    assert norm.num_batches_tracked is not None
    for step in steps:
        nn.init.constant_(network.get_submodule("0").get_parameter("weight"), step)
        norm.running_mean.fill_(-step)
        norm.num_batches_tracked += 1
        average.update_parameters(network)
    return [
        float(average.module.get_submodule("0").get_parameter("weight").detach()),
        float(average.module.get_submodule("1").get_buffer("running_mean")),
    ]


def test_an_unbiased_average_counts_each_step_by_its_age_alone() -> None:
    steps = [100.0, 1.0, 2.0, 4.0]
    ages = [0.9**age for age in (3, 2, 1, 0)]
    wanted = sum(age * step for age, step in zip(ages, steps, strict=True)) / sum(ages)
    assert weights_after(steps, unbiased=True) == pytest.approx([wanted, -wanted], rel=1e-5)


def test_else_the_first_step_keeps_what_no_later_one_has_taken() -> None:
    wanted = 0.9**3 * 100 + 0.1 * (0.9**2 * 1 + 0.9 * 2 + 4)
    assert weights_after([100.0, 1.0, 2.0, 4.0], unbiased=False) == pytest.approx([wanted, -wanted], rel=1e-5)


def test_steps_that_do_not_differ_are_their_own_average() -> None:
    assert weights_after([3.0] * 5, unbiased=True) == pytest.approx([3.0, -3.0])
    assert torch.isfinite(torch.tensor(weights_after([3.0], unbiased=True))).all()
