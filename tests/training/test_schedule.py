import pytest
import torch

from training.config import OptimizerConfig
from training.schedule import Schedule


def schedule_of(**choices: object) -> tuple[Schedule, torch.optim.Optimizer]:
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    groups = [{"params": weights[:1], "lr": 1.0}, {"params": weights[1:], "lr": 4.0}]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    return Schedule(optimizer, OptimizerConfig.model_validate(choices), steps=10, epochs=5), optimizer


def rates_of(optimizer: torch.optim.Optimizer) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


def test_it_warms_up_and_then_falls_along_one_cosine() -> None:
    schedule, optimizer = schedule_of()
    rates = []
    for _ in range(50):
        rates.append(rates_of(optimizer)[0])
        schedule.step()
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10] == 1
    assert rates[30] == pytest.approx(0.01 + 0.99 / 2)
    assert rates_of(optimizer) == pytest.approx([0.01, 0.04])


@pytest.mark.parametrize("epochs", [0.01, 0.05, 0.16, 0.25])
def test_a_warm_up_of_part_of_an_epoch_never_goes_above_the_rate(epochs: float) -> None:
    schedule, _ = schedule_of(schedule="constant", warmup_epochs=epochs)
    factors = [schedule.factor(step) for step in range(10)]
    assert factors == sorted(factors)
    assert factors[-1] == max(factors) == 1


def test_a_constant_one_stays_whatever_validation_says() -> None:
    schedule, optimizer = schedule_of(schedule="constant", warmup_epochs=0)
    for _ in range(9):
        schedule.step()
        schedule.after_epoch(0.0)
    assert rates_of(optimizer) == [1, 4]


def test_on_a_plateau_it_falls_by_its_factor_each_time_patience_ends() -> None:
    schedule, optimizer = schedule_of(schedule="plateau", warmup_epochs=0, plateau_patience=2, plateau_factor=0.5)
    seen = []
    for score in (0.1, 0.2, 0.2, 0.1, 0.3, 0.3, 0.3):
        schedule.after_epoch(score)
        seen.append(rates_of(optimizer)[0])
    assert seen == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]


def test_a_resumed_one_goes_on_where_it_was() -> None:
    first, first_optimizer = schedule_of(schedule="plateau", plateau_patience=1)
    for score in (0.1, 0.1):
        first.step()
        first.after_epoch(score)
    second, second_optimizer = schedule_of(schedule="plateau", plateau_patience=1)
    second.load_state_dict(first.state_dict())
    for each in (first, second):
        each.step()
        each.after_epoch(0.1)
    assert rates_of(first_optimizer) == rates_of(second_optimizer)
