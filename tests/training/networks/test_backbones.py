from typing import Any

import pytest
import torch

from training.errors import RecipeError
from training.networks.backbones import build_backbone
from training.networks.classifier import Classifier
from training.networks.plain import SHAPES

SLICES = torch.randint(0, 256, (2, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

FEATURES = {f"tf_efficientnet_b{i}": n for i, n in enumerate((1280, 1280, 1408, 1536, 1792, 2048, 2304, 2560))}
FEATURES |= {"tf_efficientnet_lite0": 1280, "resnet50": 2048, "resnet101": 2048, "vgg16": 512, "unet/resnet18": 512}


@pytest.mark.parametrize(("architecture", "features"), FEATURES.items())
def test_a_large_network_is_built_and_pooled_globally(architecture: str, features: int) -> None:
    """Without weights, on torch's meta device: its shapes are real, its memory is not."""
    with torch.device("meta"):
        network = Classifier(architecture, 4).eval()
        output, _ = network.with_features(torch.zeros(1, 64, 64))
    assert (output.logits.shape, output.embedding.shape) == ((1, 4), (1, features))


@pytest.mark.parametrize("architecture", [*SHAPES, "resnet3"])
def test_our_own_networks_answer(architecture: str) -> None:
    network = Classifier(architecture, 4, size=64).eval()
    output, features = network.with_features(SLICES)
    assert output.logits.shape == (2, 4)
    assert torch.equal(network(SLICES).logits, output.logits)
    assert network.new_outline_head()(features).shape[:2] == (2, 1)


@pytest.mark.parametrize("architecture", ["tf_efficientnet_lite0", "tf_efficientnet_b0"])
def test_no_activation_copies_what_it_is_given(architecture: str) -> None:
    """In place, ReLU6 and SiLU have torch clone their whole input for the backward pass."""
    network = Classifier(architecture, 4)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        network(SLICES).logits.sum().backward()
    counts = {event.key: event.count for event in profile.key_averages()}
    assert counts.get("aten::clone", 0) < 10, "33 activations and more would each be one"


def test_nine_layers_are_nine() -> None:
    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    assert sum(isinstance(module, kinds) for module in Classifier("cnn9", 4, size=64).modules()) == 9


def test_widths_and_dense_layers_can_be_chosen() -> None:
    chosen: dict[str, Any] = {"size": 32, "widths": (4, 6), "dense": (5,)}
    backbone = build_backbone("tuned_cnn", **chosen)
    assert backbone.num_features == 5
    shapes = [tuple(weight.shape[:2]) for name, weight in backbone.named_parameters() if name.startswith("blocks")]
    assert shapes[::2] == [(4, 3), (6, 4)]


def test_a_u_net_also_draws_the_tumour_at_every_pixel() -> None:
    network = Classifier("unet/tu-test_efficientnet", 4).eval()
    output, mask = network.with_features(SLICES)
    assert network.new_outline_head()(mask).shape == (2, 1, 64, 64)
    assert torch.equal(network(SLICES).logits, output.logits)


@pytest.mark.parametrize("architecture", ["nothing", "unet/nothing"])
def test_a_network_that_nobody_knows_is_named(architecture: str) -> None:
    with pytest.raises(RecipeError, match="nothing"):
        build_backbone(architecture, size=64)


def test_weights_that_timm_does_not_offer_are_refused_in_a_sentence() -> None:
    with pytest.raises(RecipeError, match="timm's weights of 'nothing'"):
        build_backbone("nothing", size=64, pretrained=True)


@pytest.mark.parametrize("architecture", [*SHAPES, "resnet3", "unet/resnet18"])
def test_a_network_of_ours_is_not_left_random_where_pretrained_weights_are_asked_for(architecture: str) -> None:
    with pytest.raises(RecipeError, match=f"timm offers no weights of '{architecture}'"):
        Classifier(architecture, 4, size=64, pretrained=True)


def test_a_frozen_backbone_stays_as_it_is_while_the_head_learns() -> None:
    network = Classifier("test_efficientnet", 4).freeze().train()
    before = {name: value.clone() for name, value in network.backbone.state_dict().items()}
    network(SLICES).logits.sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in network.backbone.state_dict().items())
    assert {name for name, weight in network.named_parameters() if weight.grad is not None} == {
        "head.weight",
        "head.bias",
    }
