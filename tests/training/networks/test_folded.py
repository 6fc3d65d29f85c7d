from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.export import export_network
from training.networks.classifier import Classifier
from training.networks.folded import load_graph, settle

SLICES = np.random.default_rng(3).integers(0, 256, (8, 64, 64), dtype=np.uint8)
ARCHITECTURES = ("test_efficientnet", "tf_efficientnet_lite0", "resnet3")


def lived(architecture: str, absent: int | None = None) -> Classifier:
    """A network whose batch norms have seen pictures and whose scales and shifts have moved."""
    torch.manual_seed(5)
    network = Classifier(architecture, 4, size=64, absent=absent)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    with torch.no_grad():
        for batch in batches():
            network.train()(batch)
    return network.eval()


def batches() -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(9)
    for _ in range(30):
        yield torch.randint(0, 256, (8, 64, 64), dtype=torch.uint8, generator=generator)


def answer(network: Classifier) -> Tensor:
    with torch.inference_mode():
        return torch.cat(list(network(torch.from_numpy(SLICES))), dim=1)


def exported(network: Classifier, folder: Path) -> Path:
    return export_network(network, folder / "model.onnx", SLICES, origin="0" * 64)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_comes_out_of_a_graph_answers_as_it_does(architecture: str, tmp_path: Path) -> None:
    network = lived(architecture)
    again = Classifier(architecture, 4, size=64).eval()
    load_graph(again, exported(network, tmp_path))
    torch.testing.assert_close(answer(again), answer(network), atol=1e-4, rtol=1e-4)


def test_cells_come_out_of_a_graph_too(tmp_path: Path) -> None:
    network = lived("test_efficientnet", absent=2)
    again = Classifier("test_efficientnet", 4, size=64, absent=2).eval()
    load_graph(again, exported(network, tmp_path))
    torch.testing.assert_close(answer(again), answer(network), atol=1e-4, rtol=1e-4)


def test_a_graph_without_cells_gives_none(tmp_path: Path) -> None:
    graph = exported(lived("test_efficientnet"), tmp_path)
    with pytest.raises(ValueError, match=r"model\.onnx does not fit: missing \['cells\.weight'"):
        load_graph(Classifier("test_efficientnet", 4, size=64, absent=2), graph)


def test_another_networks_graph_does_not_fit(tmp_path: Path) -> None:
    graph = exported(lived("test_efficientnet"), tmp_path)
    with pytest.raises(ValueError, match="does not fit"):
        load_graph(Classifier("tf_efficientnet_lite0", 4, size=64), graph)
    with pytest.raises(ValueError, match="does not fit"):
        load_graph(Classifier("test_efficientnet", 5, size=64), graph)


def test_what_is_no_graph_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text('{"name": "tiny"}')
    with pytest.raises(ValueError, match=r"card\.json is no ONNX graph"):
        load_graph(Classifier("test_efficientnet", 4, size=64), tmp_path / "card.json")


def test_settled_batch_norms_answer_as_before_and_know_what_reaches_them() -> None:
    network = lived("test_efficientnet")
    before = answer(network)
    seen: list[Tensor] = []
    stem = network.get_submodule("backbone.bn1")
    mean, variance = stem.get_buffer("running_mean"), stem.get_buffer("running_var")
    with torch.no_grad():  # as far from the truth as after folding
        mean += 1
        stem.get_parameter("bias").add_(stem.get_parameter("weight") / (variance + 1e-5).sqrt())
    hook = stem.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    settle(network, batches())
    hook.remove()
    torch.testing.assert_close(answer(network), before, atol=1e-3, rtol=1e-3)
    reached = torch.cat(seen)
    torch.testing.assert_close(mean, reached.mean(dim=(0, 2, 3)), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(variance, reached.var(dim=(0, 2, 3)), atol=1e-3, rtol=1e-3)
    assert not network.training


def test_a_first_step_answers_nearly_as_the_graph_where_batch_norms_were_settled(tmp_path: Path) -> None:
    """Without it the first batch would be answered by its own statistics, with scales that never knew any."""
    network = lived("test_efficientnet")
    graph, wanted = exported(network, tmp_path), answer(network)
    apart = {}
    for settled in (False, True):
        again = Classifier("test_efficientnet", 4, size=64)
        load_graph(again, graph)
        if settled:
            settle(again, batches())
        again.train()
        again.dropout.eval()
        apart[settled] = float((answer(again) - wanted).abs().mean())
    assert apart[True] < apart[False] / 3
