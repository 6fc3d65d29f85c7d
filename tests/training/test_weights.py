from pathlib import Path

import pytest
import safetensors.torch
import torch

from training.networks.classifier import Classifier
from training.networks.weights import load_backbone
from training.weights import weights

LITE = "tf_efficientnet_lite0"


def test_a_recipe_can_start_from_the_file_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = {name: value for name, value in Classifier(LITE, 4).backbone.state_dict().items() if value.ndim}
    monkeypatch.setattr("training.weights.shipped_weights", Path)
    monkeypatch.setattr("training.weights.translate", lambda *_: trunk)
    weights(LITE, tmp_path / "weights")
    written = tmp_path / "weights" / f"{LITE}_imagenet.safetensors"
    assert safetensors.torch.load_file(written).keys() == trunk.keys()
    network = Classifier(LITE, 4)
    load_backbone(network, written)
    assert all(torch.equal(network.backbone.state_dict()[name], value) for name, value in trunk.items())
