"""Depthwise convolutions in bfloat16 on a CPU: forward as they are, gradients in float32.

oneDNN has no fast bfloat16 kernel for the gradients of many of them (stride 2, 5 x 5), and torch then takes longer over
a step in bfloat16 than the rest of it gains. `python -m benchmarks.training` measures both.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.overrides import TorchFunctionMode


class _Shape(NamedTuple):
    stride: Sequence[int]
    padding: Sequence[int]
    dilation: Sequence[int]
    groups: int


class _Saved(FunctionCtx):
    saved_tensors: tuple[Tensor, Tensor]
    shape: _Shape


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Saved, features: Tensor, weight: Tensor, shape: _Shape) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.shape = shape
        return torch.conv2d(features.bfloat16(), weight.bfloat16(), None, *shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: _Saved, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        features, weight = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.shape
        wanted = (*ctx.needs_input_grad[:2], False)  # type: ignore[attr-defined]  # torch sets it
        whole = (gradient.float(), features.float(), weight.float(), None)
        with torch.autocast("cpu", enabled=False):
            to_features, to_weight, _ = torch.ops.aten.convolution_backward(
                *whole, stride, padding, dilation, False, (0, 0), groups, wanted
            )
        return to_features, to_weight, None


class SingleGradients(TorchFunctionMode):
    """Within it depthwise convolutions that CPU autocast turns to bfloat16 have their gradients computed in float32."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """What `func` gives, or the same convolution with gradients of another precision."""
        if func is torch.conv2d and not kwargs and len(args) == len(("features", "weight", "bias", *_Shape._fields)):
            features, weight, bias, *shape = args
            if bias is None and _is_slow(features, _Shape(*shape)):
                return _Depthwise.apply(features, weight, _Shape(*shape))  # type: ignore[no-untyped-call]  # torch's own
        return func(*args, **(kwargs or {}))


def _is_slow(features: Tensor, shape: _Shape) -> bool:
    return (
        features.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") is torch.bfloat16
        and 1 < shape.groups == features.shape[1]
        and not isinstance(shape.padding, str)
    )
