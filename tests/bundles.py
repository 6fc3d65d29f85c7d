"""Tiny real bundles: a linear classifier in ONNX that answers differently to every picture."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from service.contract.card import Card

CLASSES = ("glioma", "meningioma", "no_tumor", "pituitary")
SIZE = 32
NAME = "tiny"


def write_model(path: Path, classes: int = len(CLASSES), size: int = SIZE, seed: int = 0) -> npt.NDArray[np.float32]:
    """Write `logits = flatten(image / 255) @ weights` and return the weights (size², classes)."""
    weights = np.random.default_rng(seed).normal(0, 0.2, (size * size, classes)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["image"], ["grey"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["grey", "range"], ["scaled"]),
        helper.make_node("Flatten", ["scaled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array(255, np.float32), "range"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, path)
    return weights


def write_hungry_model(path: Path) -> None:
    """As `write_model`, but a run takes 2⁴⁸ bytes, which no machine has, for each unit of greed beyond the first.

    A slice's greed is its first pixel less 253, or none.
    """
    write_model(path)
    model = onnx.load(path)
    nodes = [
        helper.make_node("Slice", ["grey", "from", "to", "axes"], ["corners"]),
        helper.make_node("Sub", ["corners", "modest"], ["above"]),
        helper.make_node("Relu", ["above"], ["greed"]),
        helper.make_node("ReduceSum", ["greed"], ["all_greed"], keepdims=0),
        helper.make_node("Sub", ["all_greed", "one"], ["beyond"]),
        helper.make_node("Relu", ["beyond"], ["excess"]),
        helper.make_node("Mul", ["excess", "bites"], ["numbers"]),
        helper.make_node("Cast", ["numbers"], ["count"], to=TensorProto.INT64),
        helper.make_node("Unsqueeze", ["count", "first"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["hoard"]),
        helper.make_node("ReduceSum", ["hoard"], ["nothing"], keepdims=0),
        helper.make_node("Add", ["modest_logits", "nothing"], ["logits"]),
    ]
    constants = {"from": [0, 0], "to": [1, 1], "axes": [1, 2], "first": [0]}
    numbers = {"modest": 253.0, "one": 1.0, "bites": 2.0**46}
    model.graph.node[-1].output[0] = "modest_logits"
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(np.array(each), name) for name, each in constants.items())
    model.graph.initializer.extend(
        numpy_helper.from_array(np.array(each, np.float32), name) for name, each in numbers.items()
    )
    onnx.save(model, path)


def write_bundle(root: Path, name: str = NAME, version: int = 1, seed: int = 0, **changes: Any) -> Path:
    """A bundle that serves; `changes` replace fields of its card."""
    folder = root / name / str(version)
    folder.mkdir(parents=True)
    weights = write_model(folder / "model.onnx", seed=seed)
    images = np.random.default_rng(9).integers(0, 256, (5, SIZE, SIZE), np.uint8)
    logits = (images.reshape(5, -1) / np.float32(255)) @ weights
    np.savez(folder / "golden.npz", images=images, logits=logits.astype(np.float32))
    write_card(folder, **changes)
    return folder


def write_card(folder: Path, **changes: Any) -> None:
    """The card of the files in `folder` as they are now."""
    fields = card_fields(folder.parent.name, int(folder.name)) | {"files": checksums(folder)} | changes
    (folder / "card.json").write_text(Card.model_validate(fields).model_dump_json())


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but the card."""
    files = [path for path in folder.iterdir() if path.name != "card.json"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def card_fields(name: str = NAME, version: int = 1) -> dict[str, Any]:
    """The fields of a card that makes sense."""
    figure = {"value": 0.9, "low": 0.85, "high": 0.95}
    per_class = {"precision": figure, "recall": figure, "f1": figure, "support": 10}
    return {
        "name": name,
        "version": version,
        "architecture": "linear",
        "class_names": CLASSES,
        "input": {"height": SIZE, "width": SIZE, "mean": [0.0], "std": [1.0]},
        "temperature": 1.5,
        "files": {"model.onnx": "0" * 64, "golden.npz": "0" * 64},
        "data": {"name": "drawn", "licence": "none", "index_sha256": "0" * 64, "split_by": "seed", "counts": {}},
        "metrics": {
            "protocol": "drawn",
            "accuracy": figure,
            "macro_f1": figure,
            "auroc": figure,
            "ece": {"value": 0.02, "low": 0.01, "high": 0.03},
            "per_class": dict.fromkeys(CLASSES, per_class),
        },
        "training": {"commit": "none", "recipe": {}, "seed": 0, "weights": "random", "versions": {}, "opset": 20},
        "intended_use": "tests",
        "limitations": ["knows nothing"],
        "change": "first",
    }
