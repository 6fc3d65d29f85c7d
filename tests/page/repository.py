"""A repository with every kind of model that the page must cope with."""

from pathlib import Path

import numpy as np

from tests.bundles import SIZE, card_fields, write_bundle, write_card, write_model
from tests.explainable import write_explainable_bundle

PLAIN, SEER, BINARY, BROKEN = "plain/1", "seer/1", "binary/1", "plain/2"
"""Predicts; explains too; knows two classes; does not open."""
TWO = ("lesion", "no_tumor")


def write_repository(root: Path) -> None:
    """Write all of them; the first is the default by its settings."""
    write_bundle(root, "plain", seed=2)
    (write_bundle(root, "plain", version=2) / "model.onnx").write_bytes(b"broken")
    write_explainable_bundle(root, "seer")
    write_binary_bundle(root / "binary" / "1")


def write_binary_bundle(folder: Path) -> None:
    """A bundle of two classes."""
    folder.mkdir(parents=True)
    weights = write_model(folder / "model.onnx", classes=len(TWO), seed=3)
    images = np.random.default_rng(9).integers(0, 256, (5, SIZE, SIZE), np.uint8)
    logits = (images.reshape(5, -1) / np.float32(255)) @ weights
    np.savez(folder / "golden.npz", images=images, logits=logits.astype(np.float32))
    metrics = card_fields()["metrics"]
    per_class = dict.fromkeys(TWO, next(iter(metrics["per_class"].values())))
    write_card(folder, class_names=TWO, metrics=metrics | {"per_class": per_class})
