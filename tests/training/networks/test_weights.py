from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch

from training.networks.classifier import Classifier
from training.networks.weights import load_backbone, load_convolutions, load_mean, load_whole

LITE, FULL = "tf_efficientnet_lite0", "tf_efficientnet_b0"
SLICES = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def tiny() -> Classifier:
    torch.manual_seed(1)
    return Classifier("test_efficientnet", 4).eval()


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trunk of a Lite0 with random weights."""
    path = tmp_path_factory.mktemp("weights") / "lite0.safetensors"
    safetensors.torch.save_file(Classifier(LITE, 4).backbone.state_dict(), path)
    return path


def test_a_b0_takes_over_a_lite0s_convolutions_and_opens_its_gates(lite: Path) -> None:
    network = Classifier(FULL, 4).eval()
    load_convolutions(network, lite)
    ours, theirs = network.backbone.state_dict(), safetensors.torch.load_file(lite)
    taken = [name for name in theirs if name in ours and "conv" in name]
    assert len(taken) == 49
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs if name in ours)
    gates: list[torch.Tensor] = []
    for name, module in network.backbone.named_modules():
        if name.endswith(".se.gate"):
            module.register_forward_hook(lambda _, __, output: gates.append(output))
    network(SLICES)
    assert len(gates) == 16
    assert min(gate.min() for gate in gates) > 0.95


def test_a_trunk_with_gates_of_its_own_is_no_lite(tiny: Classifier, tmp_path: Path) -> None:
    safetensors.torch.save_file(Classifier("resnet3", 4).backbone.state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="does not fit"):
        load_convolutions(tiny, tmp_path / "other.safetensors")


def test_a_published_classifier_is_left_aside(tiny: Classifier, tmp_path: Path) -> None:
    whole: Any = timm.create_model("test_efficientnet", num_classes=10)
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in whole.state_dict().items()}}, tmp_path / "a.pth"
    )
    load_backbone(tiny, tmp_path / "a.pth")
    torch.testing.assert_close(
        tiny(SLICES).embedding,
        whole.eval().forward_head(whole.forward_features(tiny.normalise(SLICES)), pre_logits=True),
    )


def test_a_runs_checkpoint_gives_its_trunk_or_everything(tiny: Classifier, tmp_path: Path) -> None:
    torch.save({"network": tiny.state_dict(), "epoch": 3}, tmp_path / "best.pt")
    trunk, whole = (Classifier("test_efficientnet", 4).eval() for _ in range(2))
    load_backbone(trunk, tmp_path / "best.pt")
    load_whole(whole, tmp_path / "best.pt")
    assert torch.equal(trunk(SLICES).embedding, tiny(SLICES).embedding)
    assert not torch.equal(trunk(SLICES).logits, tiny(SLICES).logits)
    assert torch.equal(whole(SLICES).logits, tiny(SLICES).logits)


def test_weights_of_other_shapes_are_refused(tiny: Classifier, tmp_path: Path) -> None:
    torch.save({"head.weight": torch.zeros(3, 3)}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"size mismatch|does not fit"):
        load_whole(tiny, tmp_path / "a.pt")


def test_cells_go_on_from_what_drew_a_runs_outlines(tiny: Classifier, tmp_path: Path) -> None:
    outline = tiny.new_outline_head()
    torch.save({"network": tiny.state_dict(), "outline": outline.state_dict(), "epoch": 3}, tmp_path / "best.pt")
    network, again = (Classifier("test_efficientnet", 4, absent=2).eval() for _ in range(2))
    load_whole(network, tmp_path / "best.pt")
    features = tiny.with_features(SLICES)[1]
    assert torch.equal(network.new_outline_head()(features), outline(features))
    torch.testing.assert_close(network(SLICES).logits[:, 2], tiny(SLICES).logits[:, 2])
    torch.save({"network": network.state_dict(), "epoch": 3}, tmp_path / "best.pt")
    load_whole(again, tmp_path / "best.pt")
    assert torch.equal(again(SLICES).logits, network(SLICES).logits)


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_cells_do_not_start_from_weights_that_drew_nothing(tiny: Classifier, tmp_path: Path, name: str) -> None:
    torch.save({"network": tiny.state_dict(), "epoch": 3}, tmp_path / "a.pt")
    safetensors.torch.save_file(tiny.state_dict(), tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"does not fit: missing \['cells"):
        load_whole(Classifier("test_efficientnet", 4, absent=2), tmp_path / name)


def test_a_mean_needs_no_counters_of_batches(tiny: Classifier, tmp_path: Path) -> None:
    whole = tiny.state_dict()
    torch.save({"network": whole}, tmp_path / "a.pt")
    torch.save({name: value for name, value in whole.items() if value.ndim}, tmp_path / "b.pt")
    again = Classifier("test_efficientnet", 4).eval()
    load_mean(again, tmp_path / "a.pt", tmp_path / "b.pt")
    assert torch.equal(again(SLICES).logits, tiny(SLICES).logits)


def test_several_runs_give_the_mean_of_all_they_learnt(tmp_path: Path) -> None:
    several = [Classifier("test_efficientnet", 4).eval() for _ in range(3)]
    paths = [tmp_path / f"{place}.pt" for place in range(3)]
    for path, each in zip(paths, several, strict=True):
        outline = each.new_outline_head().state_dict()
        torch.save({"network": each.state_dict(), "outline": outline, "epoch": 0}, path)
    network = Classifier("test_efficientnet", 4, absent=2)
    load_mean(network, *paths)
    wanted = {name: sum(each.state_dict()[name] for each in several) / 3 for name in several[0].state_dict()}
    loaded = network.state_dict()
    for name in ("backbone.conv_stem.weight", "backbone.bn1.running_var", "head.bias"):
        torch.testing.assert_close(loaded[name], wanted[name])
    drawn = [torch.load(path, weights_only=True)["outline"]["bias"] for path in paths]
    torch.testing.assert_close(loaded["cells.bias"], sum(drawn) / 3)


def test_a_mean_with_another_network_is_refused(tiny: Classifier, tmp_path: Path) -> None:
    torch.save({"network": tiny.state_dict()}, tmp_path / "a.pt")
    torch.save({"network": Classifier("test_efficientnet", 3).state_dict()}, tmp_path / "b.pt")
    with pytest.raises(ValueError, match="size mismatch"):
        load_mean(tiny, tmp_path / "a.pt", tmp_path / "b.pt")
