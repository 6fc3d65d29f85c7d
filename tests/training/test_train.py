import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from training import checkpoint
from training import train as step
from training.calibrate import CALIBRATION
from training.config import OptimizerConfig, Recipe
from training.errors import DataError, DivergedError, OrderError, RecipeError
from training.history import HISTORY
from training.origin import ORIGIN_FILE, read_origin
from training.recipefile import merge
from training.run import RECIPE, load_best, load_outline
from training.start import bare_network, name_weights
from training.train import train

REMEMBERED = 1.1612


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / HISTORY).read_text().splitlines()]


def assert_same(ours: object, theirs: object) -> None:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in ours:
            assert_same(ours[key], theirs[key])
    elif isinstance(ours, torch.Tensor) and isinstance(theirs, torch.Tensor):
        assert torch.equal(ours, theirs)
    else:
        assert ours == theirs


def breaking(save: Callable[[dict[str, Any], Path], None]) -> Callable[[dict[str, Any], Path], None]:
    """`save`, but for an interruption after the first whole epoch."""

    def save_and_break(state: dict[str, Any], path: Path) -> None:
        save(state, path)
        if path.name == checkpoint.LAST:
            raise KeyboardInterrupt

    return save_and_break


def with_cells(recipe: Recipe, **optimizer: float) -> Recipe:
    changes = {
        "cells": True,
        "augment": {"mixup": 0},
        "optimizer": {"outline_weight": 2, **optimizer},
        "data": {"outlines": {"drawn": "outlines.json"}},
    }
    return Recipe.model_validate(merge(recipe.model_dump(), changes))


def test_the_loss_of_two_steps_is_remembered(finished: Path) -> None:
    assert log_of(finished)[0]["train_loss"] == pytest.approx(REMEMBERED, abs=1e-3)


def test_a_run_saves_the_recipe_in_effect_and_a_line_an_epoch(finished: Path, recipe: Recipe) -> None:
    assert Recipe.model_validate_json((finished / RECIPE).read_bytes()) == recipe
    assert [(line["epoch"], line["size"]) for line in log_of(finished)] == [(0, 24), (1, 64)]
    assert {"val_loss", "val_macro_f1", "val_unknown_tumor_sensitivity", "seconds"} <= log_of(finished)[0].keys()


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(
    finished: Path, run: Path, pictures: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(checkpoint, "save", breaking(checkpoint.save))
        with pytest.raises(KeyboardInterrupt):
            train(recipe, pictures, run)
    torch.rand(7)
    train(recipe, pictures, run)
    for name in (checkpoint.LAST, checkpoint.BEST):
        assert_same(checkpoint.load(run / name), checkpoint.load(finished / name))


def test_a_finished_run_trains_no_further(finished: Path, pictures: Path, recipe: Recipe) -> None:
    before = (finished / checkpoint.LAST).read_bytes()
    train(recipe, pictures, finished)
    assert (finished / checkpoint.LAST).read_bytes() == before
    assert len(log_of(finished)) == 2


def test_training_before_indexing_is_refused(tmp_path: Path, pictures: Path, recipe: Recipe) -> None:
    with pytest.raises(OrderError, match="training index"):
        train(recipe, pictures, tmp_path)


def test_going_on_with_another_recipe_is_refused(finished: Path, pictures: Path, recipe: Recipe) -> None:
    with pytest.raises(RecipeError, match="another recipe"):
        train(recipe.model_copy(update={"seed": 8}), pictures, finished)


def test_going_on_from_other_weights_is_refused(run: Path, pictures: Path, recipe: Recipe) -> None:
    """The file is the same by name, as a teacher's is that was trained anew."""
    start, other = (run.parent / name for name in ("start.pt", "other.pt"))
    for seed, path in enumerate((start, other)):
        torch.manual_seed(seed)
        checkpoint.save({"network": bare_network(recipe).state_dict()}, path)
    chosen = recipe.model_copy(update={"weights": start, "weights_as": "whole"})
    train(chosen, pictures, run)
    other.replace(start)
    with pytest.raises(RecipeError, match="other weights"):
        train(chosen, pictures, run)


def test_what_began_and_left_no_checkpoint_begins_anew_from_other_weights(
    run: Path, pictures: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told of the weights is what was trained, and an interruption after that goes on."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(step, "validate", stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, pictures, run)
    assert read_origin(run).weights == "random"
    start = run.parent / "start.pt"
    checkpoint.save({"network": bare_network(recipe).state_dict()}, start)
    chosen = recipe.model_copy(update={"weights": start, "weights_as": "whole"})
    train(chosen, pictures, run)
    told = read_origin(run)
    assert told.weights == name_weights(chosen)
    (run / ORIGIN_FILE).write_text(told.model_copy(update={"commit": "earlier"}).model_dump_json())
    train(chosen, pictures, run)
    assert read_origin(run).commit == "earlier"


@pytest.mark.parametrize("part", ["whole", "trunk"])
def test_a_start_that_learnt_what_is_held_out_is_refused(
    finished: Path, run: Path, pictures: Path, recipe: Recipe, part: str
) -> None:
    home = Path(shutil.copytree(finished, run.parent / "other"))
    chosen = recipe.model_copy(update={"weights": home / checkpoint.BEST, "weights_as": part})
    swapped = recipe.data.model_copy(update={"train_folds": (1, 2, 5), "test_folds": (3,)})
    (home / RECIPE).write_text(recipe.model_copy(update={"data": swapped}).model_dump_json())
    with pytest.raises(RecipeError, match="is no start"):
        train(chosen, pictures, run)
    (home / RECIPE).write_text(recipe.model_dump_json())
    assert train(chosen, pictures, run).exists()


def test_a_mean_begins_from_runs_of_which_none_learnt_what_is_held_out(
    finished: Path, run: Path, pictures: Path, recipe: Recipe
) -> None:
    homes = [Path(shutil.copytree(finished, run.parent / name)) for name in ("first", "second")]
    starts = tuple(home / checkpoint.BEST for home in homes)
    chosen = recipe.model_copy(update={"weights": starts, "weights_as": "mean"})
    swapped = recipe.data.model_copy(update={"train_folds": (1, 2, 5), "test_folds": (3,)})
    (homes[1] / RECIPE).write_text(recipe.model_copy(update={"data": swapped}).model_dump_json())
    with pytest.raises(RecipeError, match=r"second/best\.pt is no start"):
        train(chosen, pictures, run)
    (homes[1] / RECIPE).write_text(recipe.model_dump_json())
    train(chosen, pictures, run)
    assert read_origin(run).weights == name_weights(chosen)
    assert read_origin(run).weights.count("best.pt (sha256 ") == 2
    starts[1].unlink()
    with pytest.raises(RecipeError, match=r"second/best\.pt, which does not exist"):
        train(chosen, pictures, run)


def test_a_mean_of_no_epoch_is_the_mean(finished: Path, run: Path, pictures: Path, recipe: Recipe) -> None:
    homes = [Path(shutil.copytree(finished, run.parent / name)) for name in ("first", "second")]
    other = checkpoint.load(homes[1] / checkpoint.BEST)
    halved = {name: each / 2 if each.is_floating_point() else each for name, each in other["network"].items()}
    checkpoint.save({**other, "network": halved}, homes[1] / checkpoint.BEST)
    chosen = recipe.model_copy(
        update={
            "weights": tuple(home / checkpoint.BEST for home in homes),
            "weights_as": "mean",
            "stages": tuple(stage.model_copy(update={"epochs": 0}) for stage in recipe.stages),
            "data": recipe.data.model_copy(update={"refit": True}),
        }
    )
    kept = checkpoint.load(train(chosen, pictures, run))["network"]
    for name, each in other["network"].items():
        if each.is_floating_point():
            torch.testing.assert_close(kept[name], each * 0.75)
    assert train(chosen, pictures, run).exists()
    assert not (run / HISTORY).exists()


def test_folds_without_slices_are_named(run: Path, pictures: Path, recipe: Recipe) -> None:
    nothing = recipe.data.model_copy(update={"folds": 6, "val_folds": (6,)})
    with pytest.raises(DataError, match="no slices of folds 6"):
        train(recipe.model_copy(update={"data": nothing}), pictures, run)


def test_a_training_that_diverges_says_so(run: Path, pictures: Path, recipe: Recipe) -> None:
    haste = OptimizerConfig(kind="sgd", learning_rate=1e30, warmup_epochs=0, batch_size=8)
    with pytest.raises(DivergedError, match="has diverged"):
        train(recipe.model_copy(update={"optimizer": haste}), pictures, run)
    assert not (run / checkpoint.BEST).exists()


def test_a_refit_learns_the_validation_folds_and_keeps_its_last_epoch(refitted: Path) -> None:
    lines = log_of(refitted)
    assert [line["best"] for line in lines] == [True, True]
    assert not any(name.startswith("val_") for line in lines for name in line)
    kept, last = (torch.load(refitted / name, weights_only=True) for name in (checkpoint.BEST, checkpoint.LAST))
    assert kept["epoch"] == 1
    assert all(torch.equal(kept["network"][name], last["average"][f"module.{name}"]) for name in kept["network"])
    assert json.loads((refitted / step.BALANCE).read_text())["glioma"]["slices"] == 8


def test_a_refit_that_diverges_says_so_without_a_validation(run: Path, pictures: Path, recipe: Recipe) -> None:
    haste = OptimizerConfig(kind="sgd", learning_rate=1e30, warmup_epochs=0, batch_size=8)
    refit = recipe.data.model_copy(update={"refit": True})
    with pytest.raises(DivergedError, match="has diverged"):
        train(recipe.model_copy(update={"optimizer": haste, "data": refit}), pictures, run)
    assert not (run / checkpoint.BEST).exists()


def test_a_refit_is_no_start_for_what_holds_its_slices_out(
    refitted: Path, run: Path, pictures: Path, recipe: Recipe
) -> None:
    start = {"weights": refitted / checkpoint.BEST, "weights_as": "whole"}
    with pytest.raises(RecipeError, match="10 of the slices held out here"):
        train(recipe.model_copy(update=start), pictures, run)
    refit = recipe.data.model_copy(update={"refit": True})
    assert train(recipe.model_copy(update={**start, "data": refit}), pictures, run).exists()


def test_a_temperature_that_is_not_there_or_was_fitted_to_what_is_tested_is_refused_before_training(
    finished: Path, run: Path, pictures: Path, recipe: Recipe
) -> None:
    home = Path(shutil.copytree(finished, run.parent / "other"))
    refit = {"temperature_of": home, "data": recipe.data.model_copy(update={"refit": True})}
    swapped = recipe.data.model_copy(update={"val_folds": (5,), "test_folds": (4,)})
    (home / RECIPE).write_text(recipe.model_copy(update={"data": swapped}).model_dump_json())
    with pytest.raises(RecipeError, match="gives no temperature: 10 of the slices"):
        train(recipe.model_copy(update=refit), pictures, run)
    (home / CALIBRATION).unlink()
    with pytest.raises(OrderError, match="calibrate"):
        train(recipe.model_copy(update=refit), pictures, run)
    assert not (run / RECIPE).exists()


def test_validation_folds_that_cannot_choose_an_epoch_are_refused(
    run: Path, pictures: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As without an outlined tumour there is no Dice, and no checkpoint would ever be the best."""
    monkeypatch.setattr(step, "validate", lambda *_: {"val_loss": 1.0, "val_macro_f1": math.nan})
    with pytest.raises(DataError, match="nothing that val_macro_f1 can be told on"):
        train(recipe, pictures, run)


def test_missing_weights_are_named(run: Path, pictures: Path, recipe: Recipe) -> None:
    with pytest.raises(RecipeError, match=r"nowhere\.safetensors"):
        train(recipe.model_copy(update={"weights": Path("nowhere.safetensors")}), pictures, run)


def test_weights_that_nobody_offers_are_refused_before_anything_is_written(
    run: Path, pictures: Path, recipe: Recipe
) -> None:
    with pytest.raises(RecipeError, match="timm offers no weights of 'resnet3'"):
        train(recipe.model_copy(update={"architecture": "resnet3", "weights": "pretrained"}), pictures, run)
    assert not (run / ORIGIN_FILE).exists()


def test_outlines_are_learnt_beside_the_classes(run: Path, pictures: Path, recipe: Recipe, tmp_path: Path) -> None:
    data = shutil.copytree(pictures, tmp_path / "data")
    square = [[0, 0], [30, 0], [30, 30], [0, 30]]
    (data / "outlines.json").write_text(json.dumps({path.stem: square for path in data.rglob("*.png")}))
    outlined = recipe.model_dump()
    outlined["data"]["outlines"] = {"drawn": "outlines.json"}
    outlined["augment"]["mixup"] = 0
    losses = []
    for weight in (0.0, 2.0):
        fresh = shutil.copytree(run, tmp_path / "runs" / f"weight-{weight}")
        outlined["optimizer"]["outline_weight"] = weight
        train(Recipe.model_validate(outlined), data, fresh)
        losses.append(log_of(fresh)[0]["train_loss"])
    assert losses[1] > losses[0] + 0.2


def test_cells_are_averaged_with_the_network_and_kept_as_what_draws(run: Path, outlined: Path, recipe: Recipe) -> None:
    changed = with_cells(recipe, average=0.9)
    train(changed, outlined, run)
    kept, last = checkpoint.load(run / checkpoint.BEST), checkpoint.load(run / checkpoint.LAST)
    assert torch.equal(kept["outline"]["weight"], kept["network"]["cells.weight"])
    assert not torch.equal(kept["outline"]["weight"], last["network"]["cells.weight"])
    network = load_best(changed, run)
    assert load_outline(network, run) is network.cells
    assert network.doubt == changed.doubt
    assert bare_network(changed.model_copy(update={"doubt": 0.5})).doubt == 0.5


def test_cells_go_on_after_an_interruption_as_if_there_had_been_none(
    run: Path, outlined: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, whole = (Path(shutil.copytree(run, run.parent / name)) for name in ("broken", "whole"))
    changed = with_cells(recipe)
    train(changed, outlined, whole)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save", breaking(checkpoint.save))
        with pytest.raises(KeyboardInterrupt):
            train(changed, outlined, broken)
    train(changed, outlined, broken)
    for name in (checkpoint.LAST, checkpoint.BEST):
        assert_same(checkpoint.load(broken / name), checkpoint.load(whole / name))


def test_what_never_learnt_outlines_is_not_kept_as_what_draws_them(finished: Path) -> None:
    assert "outline" not in checkpoint.load(finished / checkpoint.BEST)
