"""The moving average of a network's weights, which is what is measured and served."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.config import OptimizerConfig

Tensors = tuple[Tensor, ...] | list[Tensor]
Update = Callable[[Tensors, Tensors, Tensor | int], None]


def new_average(network: nn.Module, config: OptimizerConfig) -> AveragedModel:
    """An average of the network's weights and of its batch norms' statistics, to be updated after each step."""
    update = unbiased(config.average) if config.average_unbiased else get_ema_multi_avg_fn(config.average)
    return AveragedModel(network, multi_avg_fn=update, use_buffers=True)


def unbiased(decay: float) -> Update:
    """Exponential averaging without a share of the first weights, by Adam's correction (Kingma & Ba 2015, §3).

    After t steps each step's weights count by decay^age alone; without it the first step's would count decay^t whole,
    and with them statistics of the pictures that the network was trained on before.
    """

    def update(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        share = (1 - decay) / (1 - decay ** (int(count) + 1))
        get_ema_multi_avg_fn(1 - share)(averaged, current, count)

    return update
