from pathlib import Path

import pytest
import safetensors.torch
import torch

from training.networks.classifier import IMAGENET_MEAN, IMAGENET_STD, Classifier
from training.networks.weights import load_backbone

SLICES = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network() -> Classifier:
    torch.manual_seed(1)
    return Classifier("test_efficientnet", 4).eval()


def test_slices_become_logits_and_embedding(network: Classifier) -> None:
    output = network(SLICES)
    assert output.logits.shape == (3, 4)
    assert output.embedding.shape == (3, 256)
    torch.testing.assert_close(output.logits, network.head(output.embedding))


def test_normalisation_and_grey_to_three_channels_are_inside(network: Classifier) -> None:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    rgb = (SLICES[:, None].expand(-1, 3, -1, -1) / 255 - mean) / std
    torch.testing.assert_close(network(SLICES).embedding, network.backbone(rgb), atol=1e-4, rtol=1e-4)


def test_8_bit_and_float_slices_are_the_same_slices(network: Classifier) -> None:
    assert torch.equal(network(SLICES).logits, network(SLICES.float()).logits)


def test_a_saved_trunk_is_loaded(network: Classifier, tmp_path: Path) -> None:
    safetensors.torch.save_file(network.backbone.state_dict(), tmp_path / "trunk.safetensors")
    fresh = Classifier("test_efficientnet", 4).eval()
    load_backbone(fresh, tmp_path / "trunk.safetensors")
    torch.testing.assert_close(fresh(SLICES).embedding, network(SLICES).embedding)


def test_a_trunk_that_does_not_fit_is_refused(network: Classifier, tmp_path: Path) -> None:
    weights = dict(list(network.backbone.state_dict().items())[1:])
    safetensors.torch.save_file(weights, tmp_path / "trunk.safetensors")
    with pytest.raises(ValueError, match="does not fit: missing"):
        load_backbone(network, tmp_path / "trunk.safetensors")


def test_the_likeliest_cell_speaks_for_every_tumour_and_not_for_none() -> None:
    network = Classifier("test_efficientnet", 4, absent=2, doubt=-1.5).eval()
    wide = torch.randint(0, 256, (3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    output, features = network.with_features(wide)
    cells = network.new_outline_head()(features)
    assert cells.shape == (3, 1, 3, 3)
    likeliest = cells.amax(dim=(1, 2, 3))
    assert (likeliest > cells.mean(dim=(1, 2, 3))).all()
    added = output.logits - network.head(output.embedding)
    torch.testing.assert_close(added[:, 2], torch.zeros(3))
    for tumor in (0, 1, 3):
        torch.testing.assert_close(added[:, tumor], likeliest + 1.5)


def test_cells_learn_nothing_from_classes() -> None:
    network = Classifier("test_efficientnet", 4, absent=2).train()
    output, features = network.with_features(SLICES)
    torch.testing.assert_close(output.logits, network.head(output.embedding))
    output.logits.sum().backward()
    assert network.cells is not None
    assert network.cells.weight.grad is None
    network.new_outline_head()(features.detach()).sum().backward()
    assert network.cells.weight.grad is not None


def test_a_network_that_answers_by_cells_draws_outlines_with_the_same_ones() -> None:
    network = Classifier("test_efficientnet", 4, absent=2)
    assert network.new_outline_head() is network.cells
    assert not network.pooled
    plain = Classifier("test_efficientnet", 4)
    assert plain.new_outline_head() is not plain.new_outline_head()
    assert "cells.weight" not in plain.state_dict()
