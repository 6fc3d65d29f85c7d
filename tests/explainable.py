"""Tiny real bundles that explain: a convolution whose gradients have a closed form, written out by hand in ONNX."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from service.contract.card import InputSpec
from service.contract.preprocess import preprocess
from tests.bundles import CLASSES, NAME, SIZE, card_fields, write_card
from tests.pictures import draw

Floats = npt.NDArray[np.float32]

FINE, COARSE = "conv", "pool"
"""The layers: the convolution before its ReLU, (6, SIZE, SIZE), and its pool of 4 by 4, (6, SIZE/4, SIZE/4)."""
KERNELS = 6
SIDES = {FINE: SIZE, COARSE: SIZE // 4}
METHODS = ("gradcam", "gradcampp", "hirescam", "layercam", "eigencam")
FILES = {COARSE: "explain.onnx", FINE: "explain.fine.onnx"}
OFFER = {"layers": FILES, "default_layer": COARSE, "methods": METHODS}


def write_explainable_bundle(root: Path, name: str = NAME, version: int = 1, seed: int = 1, **changes: Any) -> Path:
    """A bundle that predicts and explains; `changes` replace fields of its card."""
    folder = root / name / str(version)
    folder.mkdir(parents=True)
    weights = draw_weights(seed)
    write_graph(folder / "model.onnx", weights)
    for layer, file in FILES.items():
        write_graph(folder / file, weights, layer)
    images = np.random.default_rng(9).integers(0, 256, (5, SIZE, SIZE), np.uint8)
    np.savez(
        folder / "golden.npz", images=images, logits=np.stack([answers(each, weights)["logits"] for each in images])
    )
    write_card(folder, **({"explain": OFFER} | changes))
    return folder


def draw_weights(seed: int = 1) -> dict[str, Floats]:
    """Kernels (6, 1, 3, 3), bias (6,), head (6, classes) and its offset, by which drawn pictures get every label."""
    random = np.random.default_rng(seed)
    shapes = {"kernels": (KERNELS, 1, 3, 3), "bias": (KERNELS,), "head": (KERNELS, len(CLASSES))}
    scales = {"kernels": 1.0, "bias": 0.1, "head": 6.0}
    weights = {name: random.normal(0, scales[name], shape).astype(np.float32) for name, shape in shapes.items()}
    uncentred = weights | {"offset": np.zeros(len(CLASSES), np.float32)}
    drawn = [preprocess(draw(each), InputSpec.model_validate(card_fields()["input"])) for each in range(8)]
    logits = np.stack([answers(each, uncentred)["logits"] for each in drawn])
    return weights | {"offset": -logits.mean(axis=0)}


def answers(pixels: npt.NDArray[np.uint8], weights: dict[str, Floats]) -> dict[str, Floats]:
    """Logits and both layers' activations of one slice, by numpy alone."""
    padded = np.pad(pixels.astype(np.float32) / 255, 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    fine = np.einsum("hwij,kij->khw", windows, weights["kernels"][:, 0]) + weights["bias"][:, None, None]
    coarse = np.maximum(fine, 0).reshape(KERNELS, SIZE // 4, 4, SIZE // 4, 4).mean(axis=(2, 4))
    logits = coarse.mean(axis=(1, 2)) @ weights["head"] + weights["offset"]
    return {"logits": logits.astype(np.float32), FINE: fine, COARSE: coarse}


def gradients(pixels: npt.NDArray[np.uint8], weights: dict[str, Floats], target: int) -> dict[str, Floats]:
    """The closed form: the head's row spread over the places, at the fine layer only where its ReLU is open."""
    layers = answers(pixels, weights)
    row = weights["head"][:, target, None, None]
    return {
        FINE: row / layers[FINE][0].size * (layers[FINE] > 0),
        COARSE: np.broadcast_to(row / layers[COARSE][0].size, layers[COARSE].shape),
    }


def write_graph(path: Path, weights: dict[str, Floats], layer: str | None = None) -> None:
    """Write the network; with a `layer`, `target` goes in and its activations and gradients come out too."""
    inputs = [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIZE, SIZE])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(CLASSES)])]
    if layer:
        inputs.append(helper.make_tensor_value_info("target", TensorProto.INT64, ["N"]))
        outputs += [
            helper.make_tensor_value_info(
                f"{kind}:{layer}", TensorProto.FLOAT, ["N", KERNELS, SIDES[layer], SIDES[layer]]
            )
            for kind in ("activations", "gradients")
        ]
    nodes = [*forward(), *(backward() if layer else [])]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants(weights))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def constants(weights: dict[str, Floats]) -> list[TensorProto]:
    """The graph's initialisers."""
    values = {
        **weights,
        "rows": weights["head"].T.copy(),
        "range": np.array(255, np.float32),
        "channel": np.array([1]),
        "places": np.array([2, 3]),
        "nought": np.array(0),
        "closed": np.array(0, np.float32),
        "fine_places": np.array(SIZE**2, np.float32),
        "coarse_places": np.array(SIZE**2 // 16, np.float32),
    }
    return [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]


def forward() -> list[NodeProto]:
    """From image to logits."""
    make = helper.make_node
    return [
        make("Cast", ["image"], ["grey"], to=TensorProto.FLOAT),
        make("Div", ["grey", "range"], ["scaled"]),
        make("Unsqueeze", ["scaled", "channel"], ["channelled"]),
        make("Conv", ["channelled", "kernels", "bias"], ["fine"], pads=[1, 1, 1, 1]),
        make("Relu", ["fine"], ["rectified"]),
        make("AveragePool", ["rectified"], ["coarse"], kernel_shape=[4, 4], strides=[4, 4]),
        make("GlobalAveragePool", ["coarse"], ["pooled"]),
        make("Flatten", ["pooled"], ["flat"]),
        make("Gemm", ["flat", "head", "offset"], ["logits"]),
    ]


def backward() -> list[NodeProto]:
    """From the target's logit back to both layers."""
    make = helper.make_node
    return [
        make("ArgMax", ["logits"], ["predicted"], axis=1, keepdims=0),
        make("Less", ["target", "nought"], ["unset"]),
        make("Where", ["unset", "predicted", "target"], ["chosen"]),
        make("Gather", ["rows", "chosen"], ["row"]),
        make("Unsqueeze", ["row", "places"], ["spread"]),
        make("Div", ["spread", "coarse_places"], ["coarse_share"]),
        make("Shape", ["coarse"], ["coarse_shape"]),
        make("Expand", ["coarse_share", "coarse_shape"], [f"gradients:{COARSE}"]),
        make("Identity", ["coarse"], [f"activations:{COARSE}"]),
        make("Greater", ["fine", "closed"], ["open"]),
        make("Cast", ["open"], ["gate"], to=TensorProto.FLOAT),
        make("Div", ["spread", "fine_places"], ["fine_share"]),
        make("Mul", ["fine_share", "gate"], [f"gradients:{FINE}"]),
        make("Identity", ["fine"], [f"activations:{FINE}"]),
    ]
