"""The same convolution and, but for rounding, the same gradients, whichever way they are computed."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from training.depthwise import SingleGradients
from training.networks.classifier import Classifier
from training.processes import Processes


class Watched(SingleGradients):
    """Counts the convolutions that are not left to torch."""

    taken = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = super().__torch_function__(func, types, args, kwargs)
        self.taken += isinstance(given, Tensor) and "Depthwise" in str(given.grad_fn)
        return given


half = partial(torch.autocast, "cpu", torch.bfloat16)


def gradients(layer: nn.Conv2d, slices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    layer.zero_grad()
    given = slices.clone().requires_grad_()
    answer = layer(given)
    (answer.float() * torch.linspace(-1, 1, answer.numel()).view_as(answer)).sum().backward()
    assert layer.weight.grad is not None
    assert given.grad is not None
    return answer.detach(), given.grad, layer.weight.grad.clone()


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (5, 1, 1), (5, 2, 1), (3, 1, 2)])
def test_answers_are_torch_s_to_the_bit_and_gradients_nearer_to_single_precision_s(
    kernel: int, stride: int, dilation: int
) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(16, 16, kernel, stride, kernel // 2, dilation, groups=16, bias=False)
    slices = torch.randn(4, 16, 12, 12).contiguous(memory_format=torch.channels_last)
    with half():
        plain = gradients(layer, slices)
    with half(), Watched() as watched:
        ours = gradients(layer, slices)
    exact = gradients(layer, slices)
    assert watched.taken == 1
    assert torch.equal(ours[0], plain[0])
    for mine, whole in zip(ours[1:], exact[1:], strict=True):
        assert mine.dtype is torch.float32
        assert (mine - whole).norm() < 0.01 * whole.norm()
    assert (ours[2] - exact[2]).norm() <= (plain[2] - exact[2]).norm()


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(8, 8, 3, groups=1, bias=False),
        nn.Conv2d(8, 8, 3, groups=4, bias=False),
        nn.Conv2d(8, 8, 3, groups=8, bias=True),
        nn.Conv2d(8, 8, 3, groups=8, padding="same", bias=False),
    ],
)
def test_other_convolutions_are_left_to_torch(layer: nn.Conv2d) -> None:
    with half(), Watched() as watched:
        gradients(layer, torch.randn(2, 8, 6, 6))
    assert watched.taken == 0


def test_in_single_precision_all_are_left_to_torch() -> None:
    with Watched() as watched:
        gradients(nn.Conv2d(8, 8, 3, groups=8, bias=False), torch.randn(2, 8, 6, 6))
    assert watched.taken == 0


def test_a_frozen_layer_gets_no_gradient() -> None:
    layer = nn.Conv2d(8, 8, 3, groups=8, bias=False).requires_grad_(requires_grad=False)
    slices = torch.randn(2, 8, 6, 6, requires_grad=True)
    with half(), SingleGradients():
        layer(slices).float().sum().backward()
    assert layer.weight.grad is None
    assert slices.grad is not None


def test_a_network_of_many_such_layers_learns_with_all_of_them() -> None:
    torch.manual_seed(1)
    network = Classifier("efficientnet_lite0", 4, size=64).train()
    slices = torch.randint(0, 256, (4, 64, 64), dtype=torch.uint8)
    processes = Processes("bf16")
    with processes.mixed_precision(), Watched() as watched:
        network(slices).logits.float().logsumexp(dim=1).sum().backward()
    depthwise = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d) and layer.groups > 1]
    assert watched.taken == len(depthwise) > 10
    assert all(layer.weight.grad is not None and layer.weight.grad.isfinite().all() for layer in depthwise)
