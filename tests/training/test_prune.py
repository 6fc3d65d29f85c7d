import json
import shutil
from pathlib import Path

import pytest
import torch

from training import checkpoint
from training import prune as step
from training.config import Recipe, read_recipe
from training.errors import OrderError, RecipeError
from training.export import export
from training.history import Line
from training.networks.channels import cut_channels, prune_channels
from training.networks.classifier import Classifier
from training.networks.magnitude import cut_weights, share_of_zeros, weights_to_cut
from training.progress import Watch
from training.prune import LEVEL, PLANS, RATE, Plan, prune
from training.pruning_report import say_speed
from training.run import RECIPE, load_best

SLICES = torch.randint(0, 256, (2, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_the_smallest_weights_of_each_layer_go_first() -> None:
    """One layer's weights are all far smaller than the others', which must not empty it."""
    network = Classifier("resnet3", 4)
    weights = weights_to_cut(network)
    with torch.no_grad():
        weights[2].mul_(1e-6)
    before = [weight.detach().abs().flatten() for weight in weights]
    cut_weights(network, 0.7)
    assert share_of_zeros(network) == pytest.approx(0.7, abs=0.002)
    for weight, sizes in zip(weights, before, strict=True):
        left = weight.detach().abs().flatten()
        assert float((left == 0).float().mean()) == pytest.approx(0.7, abs=0.01)
        assert sizes[left == 0].max() < left[left > 0].min()


def test_the_first_convolution_and_depthwise_ones_are_left_whole() -> None:
    network = Classifier("tf_efficientnet_lite0", 4)
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    cut_weights(network, 0.5)
    kept = {name for name, weight in network.named_parameters() if torch.equal(weight, before[name])}
    convolutions = {name: weight for name, weight in before.items() if weight.ndim == 4}
    depthwise = {name for name, weight in convolutions.items() if weight.shape[1] == 1}
    assert len(depthwise) == 16
    assert kept & set(convolutions) == depthwise | {"backbone.conv_stem.weight"}
    assert "head.weight" not in kept


@pytest.mark.parametrize("architecture", ["test_efficientnet", "resnet3", "tuned_cnn"])
def test_cut_channels_make_a_smaller_network_that_can_be_built_again(architecture: str, tmp_path: Path) -> None:
    first, again = (Classifier(architecture, 4, size=64).eval() for _ in range(2))
    before = sum(weight.numel() for weight in first.parameters())
    (tmp_path / "channels.json").write_text(json.dumps(prune_channels(first, 64, 0.5)))
    assert sum(weight.numel() for weight in first.parameters()) < 0.4 * before
    cut_channels(again, tmp_path / "channels.json", 64)
    again.load_state_dict(first.state_dict())
    assert torch.equal(again(SLICES).logits, first(SLICES).logits)


def test_cut_channels_leave_the_cells_their_one_answer(tmp_path: Path) -> None:
    """A network that trains does not ask its cells, and is cut as one that answers."""
    first, again = (Classifier("test_efficientnet", 4, size=64, absent=2) for _ in range(2))
    (tmp_path / "channels.json").write_text(json.dumps(prune_channels(first.eval(), 64, 0.5)))
    assert first.cells is not None
    assert (first.cells.in_channels, first.cells.out_channels) == (first.head.in_features, 1)
    cut_channels(again, tmp_path / "channels.json", 64)
    again.load_state_dict(first.state_dict())
    assert torch.equal(again.eval()(SLICES).logits, first.eval()(SLICES).logits)


def test_few_channels_may_go_too_each_level_smaller_than_the_one_before() -> None:
    """Channels go by eights, so that close levels could be one and the same."""
    shares = [plan.percent for plan in PLANS if plan.method == "channels"]
    assert {10, 15} <= set(shares)
    networks = [Classifier("test_efficientnet", 4, size=64).eval() for _ in (0, *shares)]
    for network, share in zip(networks[1:], shares, strict=True):
        prune_channels(network, 64, share / 100)
    sizes = [sum(weight.numel() for weight in network.parameters()) for network in networks]
    assert sizes == sorted(set(sizes), reverse=True)


@pytest.fixture(scope="module")
def pruned(finished: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run, pruned at three levels with an epoch of retraining each."""
    run = Path(shutil.copytree(finished, tmp_path_factory.mktemp("runs") / "tiny"))
    plans = (Plan("oneshot", 50), Plan("iterative", 75, "oneshot-50"), Plan("channels", 50))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(step, "PLANS", plans)
        prune(pictures, run, epochs=1)
        (run / "prune" / "channels-50" / "level.json").unlink()
        kept = (run / "prune" / "oneshot-50" / "level.json").stat().st_mtime_ns
        prune(pictures, run, epochs=1)
        assert (run / "prune" / "oneshot-50" / "level.json").stat().st_mtime_ns == kept
    return run


def test_masks_survive_retraining_and_channels_make_the_network_small(pruned: Path) -> None:
    levels = {level["method"]: level for level in json.loads((pruned / "prune" / "pruning.json").read_text())["levels"]}
    assert levels["oneshot"]["zeros"] >= 0.5
    assert levels["iterative"]["zeros"] >= 0.75
    assert levels["channels"]["weights"] < 0.5 * levels["oneshot"]["weights"]
    assert all(
        0 < level["time"]["low"] <= level["time"]["median"] <= level["time"]["high"] for level in levels.values()
    )


def test_a_table_and_a_plot_are_left(pruned: Path) -> None:
    text = (pruned / "prune" / "pruning.md").read_text()
    assert "| oneshot 50 % |" in text
    rate = read_recipe(pruned / RECIPE).optimizer.learning_rate
    assert text.count(f"| epochs 1, rate {RATE * rate:g} |") == 3
    assert "Masks alone" in text
    assert (pruned / "prune" / "pruning.png").stat().st_size > 5000


def test_a_pruned_level_is_a_run_that_exports(pruned: Path, pictures: Path) -> None:
    level = pruned / "prune" / "channels-50"
    recipe = read_recipe(level / RECIPE)
    assert recipe.name == "tiny-channels-50"
    assert load_best(recipe, level)(SLICES).logits.shape == (2, 4)
    assert export(pictures, level).stat().st_size < (pruned / "model.onnx").stat().st_size


@pytest.mark.parametrize(("epochs", "sizes"), [(1, [64]), (2, [24, 64]), (6, [24, 24, 24, 64, 64, 64])])
def test_retraining_goes_through_the_sizes_of_the_first_training(
    finished: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, epochs: int, sizes: list[int]
) -> None:
    seen: list[Recipe] = []
    told: list[Line] = []

    def refuse(recipe: Recipe, _: Path, __: Path, watch: Watch) -> None:
        seen.append(recipe)
        watch({"epoch": 0})
        raise RecipeError("seen enough")

    monkeypatch.setattr(step, "train", refuse)
    run = Path(shutil.copytree(finished, tmp_path / "tiny"))
    with pytest.raises(RecipeError, match="seen enough"):
        prune(pictures, run, epochs, only=["channels-25"], rate=0.5, watcher=lambda *_: told.append)
    assert told == [{"epoch": 0}]
    (recipe,) = seen
    assert [stage.size for stage in recipe.stages for _ in range(stage.epochs)] == sizes
    assert recipe.optimizer.learning_rate == pytest.approx(0.5 * read_recipe(run / RECIPE).optimizer.learning_rate)
    assert recipe.channels == run / "prune" / "channels-25" / "channels.json"


def test_a_level_that_does_not_exist_is_named(pruned: Path, pictures: Path) -> None:
    with pytest.raises(RecipeError, match="there is no level channels-99"):
        prune(pictures, pruned, only=["channels-99"])


def test_a_pruned_run_is_not_pruned_again(pruned: Path, pictures: Path) -> None:
    with pytest.raises(RecipeError, match="pruned already"):
        prune(pictures, pruned / "prune" / "oneshot-50")


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_level_of_another_checkpoint_is_neither_taken_nor_gone_on_with(
    pruned: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, interrupted: bool
) -> None:
    monkeypatch.setattr(step, "PLANS", (Plan("oneshot", 50),))
    run = Path(shutil.copytree(pruned, tmp_path / "runs" / "tiny"))
    if interrupted:
        (run / "prune" / "oneshot-50" / LEVEL).unlink()
    checkpoint.save({**checkpoint.load(run / checkpoint.BEST), "epoch": 99}, run / checkpoint.BEST)
    with pytest.raises(OrderError, match="another checkpoint"):
        prune(pictures, run, epochs=1)


def test_a_level_does_not_begin_from_one_that_is_not_finished(
    pruned: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "PLANS", (Plan("oneshot", 50), Plan("iterative", 75, "oneshot-50")))
    run = Path(shutil.copytree(pruned, tmp_path / "runs" / "tiny"))
    (run / "prune" / "oneshot-50" / LEVEL).unlink()
    shutil.rmtree(run / "prune" / "iterative-75")
    with pytest.raises(OrderError, match="prune --only oneshot-50"):
        prune(pictures, run, epochs=1, only=["iterative-75"])


def test_a_level_that_does_not_say_how_it_was_retrained_has_it_from_its_recipe(
    pruned: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "PLANS", (Plan("oneshot", 50),))
    run = Path(shutil.copytree(pruned, tmp_path / "runs" / "tiny"))
    path = run / "prune" / "oneshot-50" / LEVEL
    told = json.loads(path.read_text())
    path.write_text(json.dumps({name: told[name] for name in told if name not in {"epochs", "learning_rate"}}))
    (level,) = prune(pictures, run, epochs=5)
    assert (level.epochs, level.learning_rate) == (told["epochs"], told["learning_rate"])


def test_the_verdict_on_speed_follows_the_measurement() -> None:
    def level(method: str, median: float) -> dict[str, object]:
        return {"method": method, "time": {"median": median}}

    assert "bring no speed" in say_speed([level("oneshot", 1.01), level("channels", 0.4)])
    assert "change the time" in say_speed([level("oneshot", 0.7), level("channels", 0.4)])
    assert "Masks" not in say_speed([level("channels", 0.4)])
