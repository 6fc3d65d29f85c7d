"""Every operator that has a rule, in its forms, beside torch's function of the same."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.training.gradient.graphs import Array

DRAW = np.random.default_rng(3)


class Case(NamedTuple):
    """One operator on `layer` and `constants`, with torch's function of the same."""

    operator: str
    attributes: dict[str, Any]
    constants: list[Array]
    function: Callable[[Tensor], Tensor]
    shape: Sequence[int] = (4, 6, 7)
    inputs: Sequence[str] | None = None


def draw(*shape: int) -> Array:
    return DRAW.normal(size=shape).astype(np.float32)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


def scalar(value: float) -> Array:
    return np.array(value, np.float32)


def tensor(value: Array) -> Tensor:
    return torch.from_numpy(value.astype(np.float64))


def conv(
    kernel: Sequence[int], group: int = 1, outputs: int = 8, shape: Sequence[int] = (4, 6, 7), **attributes: Any
) -> Case:
    weight, pads = draw(outputs, shape[0] // group, *kernel), attributes.get("pads", [0, 0] * len(kernel))
    apply = (F.conv1d, F.conv2d, F.conv3d)[len(kernel) - 1]
    rank = len(kernel)
    around = [pads[end * rank + axis] for axis in reversed(range(rank)) for end in (0, 1)]

    def function(x: Tensor) -> Tensor:
        stride, dilation = attributes.get("strides", 1), attributes.get("dilations", 1)
        return apply(F.pad(x, around), tensor(weight), stride=stride, dilation=dilation, groups=group)

    return Case("Conv", attributes | {"group": group}, [weight], function, shape)


def same(operator: str, auto_pad: str, around: Sequence[int], stride: int) -> Case:
    """A 4 × 4 window with automatic padding; `around` is what it comes to, as torch counts."""
    weight = draw(4, 4, 4, 4)
    attributes = {"auto_pad": auto_pad, "strides": [stride, stride]}
    return Case(operator, attributes, [weight], lambda x: F.conv2d(F.pad(x, around), tensor(weight), stride=stride))


def conv_transpose(group: int = 1, **attributes: Any) -> Case:
    weight = draw(4, 6 // group, 3, 3)
    options = {
        "stride": attributes.get("strides", 1),
        "padding": attributes.get("pads", [0])[0],
        "output_padding": attributes.get("output_padding", 0),
        "dilation": attributes.get("dilations", 1),
    }
    return Case(
        "ConvTranspose",
        attributes | {"group": group},
        [weight],
        lambda x: F.conv_transpose2d(x, tensor(weight), groups=group, **options),
    )


def average(include: int = 0, ceil: int = 0, stride: int = 2, pad: int = 1) -> Case:
    attributes = {"kernel_shape": [3, 3], "strides": [stride] * 2, "pads": [pad] * 4, "ceil_mode": ceil}
    return Case(
        "AveragePool",
        attributes | {"count_include_pad": include},
        [],
        lambda x: F.avg_pool2d(x, 3, stride, pad, ceil_mode=bool(ceil), count_include_pad=bool(include)),
    )


def maximum(kernel: int = 3, stride: int = 2, pad: int = 1, dilation: int = 1) -> Case:
    attributes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "dilations": [dilation] * 2}
    return Case("MaxPool", attributes, [], lambda x: F.max_pool2d(x, kernel, stride, pad, dilation))


def resize(mode: str, transformation: str, scales: Sequence[float], **attributes: Any) -> Case:
    names = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}
    corners = {} if mode == "nearest" else {"align_corners": transformation == "align_corners"}
    factors = np.array([1, 1, *scales], np.float32)
    return Case(
        "Resize",
        {"mode": mode, "coordinate_transformation_mode": transformation} | attributes,
        [factors],
        lambda x: F.interpolate(x, scale_factor=tuple(scales), mode=names[mode], **corners),
        inputs=["layer", "", "c0"],
    )


def elementwise(operator: str, function: Callable[[Tensor], Tensor], **attributes: Any) -> Case:
    return Case(operator, attributes, [], function)


COLUMN, MAP, SQUARE = draw(4, 1, 1), draw(6, 7), draw(7, 5)
VECTOR = np.abs(draw(4)) + 0.5
CASES = {
    "conv": conv((3, 3), pads=[1, 1, 1, 1]),
    "conv 1x1": conv((1, 1)),
    "conv 1x1 stride 2": conv((1, 1), strides=[2, 2]),
    "conv uneven padding": conv((3, 2), pads=[0, 1, 2, 0]),
    "conv more padding than kernel": conv((1, 1), pads=[1, 1, 1, 1]),
    "conv stride 2": conv((3, 3), strides=[2, 2], pads=[1, 1, 1, 1]),
    "conv stride 3 by 2": conv((3, 5), strides=[3, 2], pads=[0, 2, 1, 2]),
    "conv stride 3 with a rest": conv((2, 2), strides=[4, 3]),
    "conv dilated": conv((3, 3), dilations=[2, 1], pads=[2, 1, 2, 1]),
    "conv dilated stride 2": conv((3, 3), dilations=[2, 2], strides=[2, 2], pads=[2, 2, 2, 2]),
    "conv groups": conv((3, 3), group=2, pads=[1, 1, 1, 1]),
    "conv groups stride 2": conv((3, 3), group=2, strides=[2, 2], pads=[1, 1, 1, 1]),
    "conv depthwise": conv((5, 5), group=4, outputs=4, pads=[2, 2, 2, 2]),
    "conv depthwise stride 2": conv((5, 5), group=4, outputs=4, strides=[2, 2], pads=[2, 2, 2, 2]),
    "conv depthwise stride 2 uneven": conv((3, 3), group=4, outputs=4, strides=[2, 2], pads=[0, 0, 1, 1]),
    "conv depthwise 1x1 stride 2": conv((1, 1), group=4, outputs=4, strides=[2, 2]),
    "conv depthwise multiplier": conv((3, 3), group=4, outputs=8, pads=[1, 1, 1, 1]),
    "conv 1d": conv((3,), shape=(4, 9), strides=[2], pads=[1, 1]),
    "conv 3d": conv((3, 3, 3), shape=(4, 3, 4, 5), pads=[1, 1, 1, 1, 1, 1]),
    "conv same upper": same("Conv", "SAME_UPPER", [1, 2, 1, 2], 1),
    "conv same lower": same("Conv", "SAME_LOWER", [2, 1, 2, 1], 1),
    "conv same upper stride 2": same("Conv", "SAME_UPPER", [1, 2, 1, 1], 2),
    "conv valid": same("Conv", "VALID", [0, 0, 0, 0], 2),
    "conv transpose": conv_transpose(pads=[1, 1, 1, 1]),
    "conv transpose stride 2": conv_transpose(strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
    "conv transpose groups": conv_transpose(group=2, strides=[2, 2], dilations=[2, 2]),
    "average pool": average(),
    "average pool with padding": average(include=1),
    "average pool ceil": average(ceil=1, pad=0),
    "average pool stride 1": average(stride=1),
    "max pool": maximum(),
    "max pool apart": maximum(kernel=2, pad=0),
    "max pool dilated": maximum(stride=1, dilation=2),
    "global average pool": elementwise("GlobalAveragePool", lambda x: x.mean((2, 3), keepdim=True)),
    "global max pool": elementwise("GlobalMaxPool", lambda x: x.amax((2, 3), keepdim=True)),
    "resize nearest": resize("nearest", "asymmetric", [2, 3], nearest_mode="floor"),
    "resize linear": resize("linear", "half_pixel", [2, 2]),
    "resize linear corners": resize("linear", "align_corners", [2, 2]),
    "resize linear smaller": resize("linear", "half_pixel", [0.5, 3]),
    "resize cubic": resize("cubic", "half_pixel", [2, 2], cubic_coeff_a=-0.75),
    "resize to sizes": Case(
        "Resize",
        {"mode": "linear", "axes": [2, 3]},
        [ints(9, 14)],
        lambda x: F.interpolate(x, (9, 14), mode="bilinear"),
        inputs=["layer", "", "", "c0"],
    ),
    "relu": elementwise("Relu", F.relu),
    "clip": Case("Clip", {}, [scalar(-0.5), scalar(0.7)], lambda x: x.clamp(-0.5, 0.7)),
    "clip above": Case("Clip", {}, [scalar(0.7)], lambda x: x.clamp(max=0.7), inputs=["layer", "", "c0"]),
    "leaky relu": elementwise("LeakyRelu", lambda x: F.leaky_relu(x, 0.2), alpha=0.2),
    "prelu": Case("PRelu", {}, [COLUMN], lambda x: F.prelu(x, tensor(COLUMN).flatten())),
    "elu": elementwise("Elu", lambda x: F.elu(x, 0.5), alpha=0.5),
    "sigmoid": elementwise("Sigmoid", torch.sigmoid),
    "hard sigmoid": elementwise("HardSigmoid", F.hardsigmoid, alpha=1 / 6, beta=0.5),
    "hard swish": elementwise("HardSwish", F.hardswish),
    "tanh": elementwise("Tanh", torch.tanh),
    "softplus": elementwise("Softplus", F.softplus),
    "softmax": elementwise("Softmax", lambda x: x.softmax(1), axis=1),
    "erf": elementwise("Erf", torch.erf),
    "exp": elementwise("Exp", torch.exp),
    "log": Case("Log", {}, [], lambda x: (x.square() + 1).log(), inputs=["squares"]),
    "sqrt": Case("Sqrt", {}, [], lambda x: (x.square() + 1).sqrt(), inputs=["squares"]),
    "reciprocal": Case("Reciprocal", {}, [], lambda x: 1 / (x.square() + 1), inputs=["squares"]),
    "neg": elementwise("Neg", torch.neg),
    "abs": elementwise("Abs", torch.abs),
    "identity": elementwise("Identity", torch.clone),
    "dropout": elementwise("Dropout", torch.clone),
    "cast": elementwise("Cast", torch.clone, to=1),
    "add": Case("Add", {}, [COLUMN], lambda x: x + tensor(COLUMN)),
    "add to a constant": Case("Add", {}, [draw(2, 1, 1, 1)[:1]], lambda x: x + 1, inputs=["c0", "layer"]),
    "sub from a constant": Case("Sub", {}, [COLUMN], lambda x: tensor(COLUMN) - x, inputs=["c0", "layer"]),
    "mul by itself": Case("Mul", {}, [], lambda x: x * x, inputs=["layer", "layer"]),
    "mul stretches the layer": Case("Mul", {}, [MAP], lambda x: x * tensor(MAP), shape=(4, 1, 7)),
    "div": Case("Div", {}, [COLUMN], lambda x: x / tensor(COLUMN)),
    "pow": Case("Pow", {}, [scalar(3)], lambda x: x**3),
    "sum": Case("Sum", {}, [], lambda x: x + x, inputs=["layer", "layer"]),
    "matmul": Case("MatMul", {}, [SQUARE], lambda x: x @ tensor(SQUARE)),
    "matmul from the left": Case("MatMul", {}, [MAP], lambda x: tensor(MAP) @ x, (4, 7, 5), ["c0", "layer"]),
    "matmul by itself": Case("MatMul", {}, [], lambda x: x @ x, (4, 5, 5), ["layer", "layer"]),
    "batch norm": Case(
        "BatchNormalization",
        {"epsilon": 0.01},
        [VECTOR, COLUMN.flatten(), -VECTOR, VECTOR[::-1].copy()],
        lambda x: F.batch_norm(
            x, tensor(-VECTOR), tensor(VECTOR[::-1].copy()), tensor(VECTOR), tensor(COLUMN).flatten(), eps=0.01
        ),
    ),
    "reduce mean": Case("ReduceMean", {}, [ints(2, -1)], lambda x: x.mean((2, 3))),
    "reduce mean without axes kept": Case("ReduceMean", {"keepdims": 0}, [ints(-1, 2)], lambda x: x.mean((2, 3))),
    "reduce sum": Case("ReduceSum", {"keepdims": 0}, [ints(1)], lambda x: x.sum(1)),
    "flatten": elementwise("Flatten", lambda x: x.flatten(1)),
    "reshape": Case("Reshape", {}, [ints(0, 8, -1)], lambda x: x.reshape(len(x), 8, -1)),
    "unsqueeze": Case("Unsqueeze", {}, [ints(2)], lambda x: x.unsqueeze(2)),
    "squeeze": Case("Squeeze", {}, [ints(2)], lambda x: x.squeeze(2), shape=(4, 1, 7)),
    "transpose": elementwise("Transpose", lambda x: x.permute(0, 2, 3, 1), perm=[0, 2, 3, 1]),
    "expand": Case("Expand", {}, [ints(1, 4, 6, 7)], lambda x: x.expand(-1, 4, 6, 7), shape=(4, 1, 7)),
    "concat": Case("Concat", {"axis": 1}, [], lambda x: torch.cat([x, x], 1), inputs=["layer", "layer"]),
    "slice": Case("Slice", {}, [ints(1, -3), ints(3, 100), ints(1, 3)], lambda x: x[:, 1:3, :, -3:]),
    "pad": Case(
        "Pad",
        {},
        [ints(0, 0, 1, 0, 0, 0, 2, 1), scalar(2)],
        lambda x: F.pad(x, (0, 1, 1, 2), value=2.0),
    ),
}
