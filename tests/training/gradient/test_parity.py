"""Whole networks against torch's autograd in float64."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import onnx
import pytest
import timm
import torch
from torch import Tensor, nn

from tests.training.gradient.graphs import Array, run
from tests.training.gradient.networks import refer, trace
from training.gradient.explain import explain_graph
from training.gradient.forward import Forward
from training.gradient.layers import default_layers
from training.networks.classifier import Classifier

CLASSES = 4
TOLERANCE = 1e-4
TARGETS = np.array([-1, 0, 1, 2, 3, -1, 3, 1], np.int64)


class Grey(nn.Module):
    """Any network behind the contract's uint8 slices."""

    brightest: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("brightest", torch.tensor(255.0))

    def forward(self, slices: Tensor) -> Tensor:
        scaled = slices.unsqueeze(1).to(self.brightest.dtype) / self.brightest
        logits: Tensor = self.network(scaled)
        return logits


class UNet(nn.Module):
    """Down, up again, a shortcut, and a class head on the whole."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU())
        self.deep = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU())
        self.up = nn.ConvTranspose2d(8, 6, 2, stride=2)
        self.across = nn.Upsample(scale_factor=2, mode="bilinear")
        self.merge = nn.Sequential(nn.Conv2d(20, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, CLASSES)

    def forward(self, slices: Tensor) -> Tensor:
        fine = self.down(slices)
        deep = self.deep(fine)
        merged = self.merge(torch.cat([fine, self.up(deep), self.across(deep)], 1))
        logits: Tensor = self.head(merged.mean((2, 3)))
        return logits


def vgg() -> nn.Module:
    """Plain convolutions and poolings with a dense head."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU()),
        nn.MaxPool2d(2),
        nn.Sequential(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU()),
        nn.Sequential(
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, CLASSES)
        ),
    )


def vgg16() -> nn.Module:
    """VGG16's own thirteen convolutions, for one channel and with a narrow dense head."""
    features = timm.create_model("vgg16", in_chans=1, mlp_ratio=1 / 64).get_submodule("features")
    for module in features.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return nn.Sequential(features, nn.Flatten(), nn.Linear(512 * 4, 64), nn.ReLU(), nn.Linear(64, CLASSES))


def small() -> nn.Module:
    """Strides, groups, average pooling, several activations."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 6, 5, stride=2, padding=2), nn.LeakyReLU(0.1)),
        nn.AvgPool2d(3, 2, padding=1),
        nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=3), nn.BatchNorm2d(6), nn.Hardswish()),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, CLASSES)),
    )


class Subject(NamedTuple):
    """A network, its side in pixels, and the modules that give its last and its finer layer."""

    build: Callable[[], nn.Module]
    size: int
    layers: Sequence[str]


SUBJECTS = {
    "lite0": Subject(
        lambda: Classifier("tf_efficientnet_lite0", CLASSES), 64, ("backbone.bn2", "backbone.blocks.5.0.bn1")
    ),
    "squeeze and excitation": Subject(
        lambda: Classifier("test_efficientnet", CLASSES), 64, ("backbone.bn2", "backbone.blocks.4.0.bn1")
    ),
    "cells": Subject(
        lambda: Classifier("test_efficientnet", CLASSES, absent=2), 64, ("backbone.bn2", "backbone.blocks.4.0.bn1")
    ),
    "resnet18": Subject(lambda: Classifier("resnet18", CLASSES), 64, ("backbone.layer4", "backbone.layer3")),
    "bottleneck": Subject(lambda: Classifier("test_resnet", CLASSES), 64, ("backbone.layer4", "backbone.layer3")),
    "resnet3": Subject(lambda: Classifier("resnet3", CLASSES), 32, ("backbone.blocks", "backbone.blocks.1")),
    "nine layers": Subject(
        lambda: Classifier("cnn9", CLASSES, size=32), 32, ("backbone.blocks.2", "backbone.blocks.1")
    ),
    "tuned": Subject(lambda: Classifier("tuned_cnn", CLASSES, size=32), 32, ("backbone.blocks.2", "backbone.blocks.1")),
    "u-net's encoder": Subject(
        lambda: Classifier("unet/tu-test_resnet", CLASSES),
        64,
        ("backbone.encoder.model.layer4", "backbone.encoder.model.layer3"),
    ),
    "vgg": Subject(lambda: Grey(vgg()), 32, ("network.2", "network.0")),
    "vgg16": Subject(lambda: Grey(vgg16()), 64, ("network.0.29", "network.0.22")),
    "small": Subject(lambda: Grey(small()), 32, ("network.2", "network.0")),
    "u-net": Subject(lambda: Grey(UNet()), 32, ("network.merge",)),
}


class Explained(NamedTuple):
    """A network with the graph that explains its default layers."""

    network: nn.Module
    graph: onnx.ModelProto
    layers: Sequence[str]


@cache
def explained(name: str) -> Explained:
    torch.manual_seed(1)
    network = SUBJECTS[name].build()
    graph = trace(network, SUBJECTS[name].size)
    layers = default_layers(Forward(graph), "logits")
    return Explained(network, explain_graph(graph, layers), layers)


def slices(name: str, count: int) -> Array:
    side = SUBJECTS[name].size
    return np.random.default_rng(2).integers(0, 256, (count, side, side), np.uint8)


def difference(ours: Array, theirs: Array) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


@pytest.mark.parametrize("name", SUBJECTS)
def test_activations_and_gradients_are_torchs_at_every_batch_size(name: str) -> None:
    network, graph, layers = explained(name)
    assert len(layers) == len(SUBJECTS[name].layers)
    for layer, module in zip(layers, SUBJECTS[name].layers, strict=True):
        wanted = refer(network, network.get_submodule(module), slices(name, 8), TARGETS)
        assert wanted.steady.sum() >= 6
        for size in (1, 3, 8):
            got = run(graph, {"image": slices(name, 8)[:size], "target": TARGETS[:size]})
            steady = wanted.steady[:size]
            assert difference(got["logits"], wanted.logits[:size]) <= TOLERANCE
            assert difference(got[f"activations:{layer}"], wanted.activations[:size]) <= TOLERANCE
            assert difference(got[f"gradients:{layer}"][steady], wanted.gradients[:size][steady]) <= TOLERANCE


def test_behind_a_pooling_and_a_linear_head_the_gradient_is_the_heads_weight() -> None:
    network, graph, (layer, _) = explained("lite0")
    got = run(graph, {"image": slices("lite0", 3), "target": np.array([2, 0, -1], np.int64)})
    head = network.get_parameter("head.weight").detach().numpy()[[2, 0, int(got["logits"][2].argmax())]]
    height, width = got[f"gradients:{layer}"].shape[2:]
    closed = np.broadcast_to(head[:, :, None, None] / (height * width), got[f"gradients:{layer}"].shape)
    assert got[f"gradients:{layer}"] == pytest.approx(closed, rel=1e-6)


def test_a_target_of_minus_one_is_the_predicted_class() -> None:
    _, graph, _ = explained("small")
    image = slices("small", 8)
    predicted = run(graph, {"image": image, "target": np.full(8, -1)})
    named = run(graph, {"image": image, "target": predicted["logits"].argmax(1)})
    for name, answer in predicted.items():
        assert np.array_equal(answer, named[name])


def test_neighbours_in_a_batch_do_not_change_a_samples_answer() -> None:
    _, graph, _ = explained("small")
    together = run(graph, {"image": slices("small", 8), "target": TARGETS})
    for place in range(8):
        alone = run(graph, {"image": slices("small", 8)[[place]], "target": TARGETS[[place]]})
        for name, answer in alone.items():
            assert answer[0] == pytest.approx(together[name][place], rel=1e-5, abs=1e-6)
