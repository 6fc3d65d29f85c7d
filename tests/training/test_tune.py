import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from training import laboratory
from training import tune as step
from training.config import Recipe, Stage, read_recipe
from training.errors import DivergedError, RecipeError
from training.history import Line
from training.index import INDEX
from training.tune import BEST_TRIAL, DONE, IMPORTANCE, importances, open_study, suggest, tune


@pytest.fixture(scope="module")
def tuned(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"architecture": "tuned_cnn", "size": 32, "stages": (Stage(size=32, epochs=1),)})


def test_a_search_goes_on_where_it_stopped_and_leaves_a_recipe_that_runs(
    tuned: Recipe, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "runs" / "tune"
    tune(tuned, pictures, run, trials=1)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(step, "train", stop)
        with pytest.raises(KeyboardInterrupt):
            tune(tuned, pictures, run, trials=3)
    best = tune(tuned, pictures, run, trials=3)
    states = [trial.state for trial in open_study(run, tuned.seed).trials]
    assert states == [TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]
    told = json.loads((run / BEST_TRIAL).read_text())
    assert (told["trial"], told["parameters"]) == (best.number, best.params)
    found = read_recipe(run / "tiny-best.yaml")
    assert found.optimizer.learning_rate == best.params["learning_rate"]
    assert found.widths[0] == best.params["width"]
    assert (run / IMPORTANCE).stat().st_size > 5000


def test_a_trial_that_lags_is_pruned(
    tuned: Recipe, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training is replaced by curves that are known: the sixth of them lies below the others."""
    begun: list[Path] = []

    def learn(_: Recipe, __: Path, run: Path, watch: Callable[[Line], None]) -> Path:
        begun.append(run)
        for epoch in range(6):
            watch({"epoch": epoch, "val_macro_f1": 0.1 if len(begun) == 6 else 0.5 + epoch / 100})
        return run

    monkeypatch.setattr(step, "train", learn)
    run = tmp_path / "runs" / "tune"
    told: list[Line] = []
    tune(tuned, pictures, run, trials=6, watcher=lambda *_: told.append)
    assert len(told) == 5 * 6 + 4
    trials = open_study(run, tuned.seed).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 5 + [TrialState.PRUNED]
    assert len(trials[-1].intermediate_values) == 4
    assert all(trial.state in DONE for trial in trials)


def test_a_trial_that_diverges_is_pruned_and_the_search_goes_on(
    tuned: Recipe, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learn(_: Recipe, __: Path, run: Path, watch: Callable[[Line], None]) -> Path:
        if run.name == "0":
            raise DivergedError
        watch({"epoch": 0, "val_macro_f1": 0.5})
        return run

    monkeypatch.setattr(step, "train", learn)
    run = tmp_path / "runs" / "tune"
    with pytest.raises(RecipeError, match=r"no trial of .* came to its end"):
        tune(tuned, pictures, run, trials=1)
    assert tune(tuned, pictures, run, trials=2).number == 1
    assert [trial.state for trial in open_study(run, tuned.seed).trials] == [TrialState.PRUNED, TrialState.COMPLETE]


def test_what_decides_a_trial_is_found_important(
    tuned: Recipe, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learn(recipe: Recipe, _: Path, run: Path, watch: Callable[[Line], None]) -> Path:
        watch({"epoch": 0, "val_macro_f1": 1 - abs(math.log10(recipe.optimizer.learning_rate) + 2.3)})
        return run

    monkeypatch.setattr(step, "train", learn)
    run = tmp_path / "runs" / "tune"
    assert tune(tuned, pictures, run, trials=12).params["learning_rate"] == pytest.approx(10**-2.3, rel=0.5)
    shares = importances(open_study(run, tuned.seed))
    assert max(shares, key=lambda name: shares[name]) == "learning_rate"


def test_a_search_does_not_go_on_with_another_recipe_or_on_other_rows(
    tuned: Recipe, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learn(_: Recipe, __: Path, run: Path, watch: Callable[[Line], None]) -> Path:
        watch({"epoch": 0, "val_macro_f1": 0.5, "val_accuracy": 0.9})
        return run

    monkeypatch.setattr(step, "train", learn)
    run = tmp_path / "runs" / "tune"
    tune(tuned, pictures, run, trials=1)
    before = (run / INDEX).read_bytes()
    by_slice = tuned.model_copy(update={"data": tuned.data.model_copy(update={"split": "random"})})
    for other in (by_slice, tuned.model_copy(update={"best_by": "val_accuracy"})):
        with pytest.raises(RecipeError, match="another recipe"):
            tune(other, pictures, run, trials=2)
    fewer = Path(shutil.copytree(pictures, tmp_path / "fewer"))
    (fewer / "drawn" / "glioma" / "0.png").unlink()
    with pytest.raises(RecipeError, match="another index"):
        tune(tuned, fewer, run, trials=2)
    assert (run / INDEX).read_bytes() == before
    assert len(open_study(run, tuned.seed).trials) == 1


def test_a_loss_that_was_searched_for_is_told_as_one(
    tuned: Recipe,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    losses = iter([0.5, 0.25, 0.75])

    def learn(_: Recipe, __: Path, run: Path, watch: Callable[[Line], None]) -> Path:
        watch({"epoch": 0, "val_loss": next(losses)})
        return run

    monkeypatch.setattr(step, "train", learn)
    run = tmp_path / "runs" / "tune"
    assert tune(tuned.model_copy(update={"best_by": "val_loss"}), pictures, run, trials=3).number == 1
    assert json.loads((run / BEST_TRIAL).read_text())["val_loss"] == 0.25
    (tmp_path / "tune.yaml").write_text(tuned.model_dump_json())
    laboratory.tune(tmp_path / "tune.yaml", pictures, run, trials=3, changes=["best_by=val_loss"])
    assert "trial 1, val_loss 0.2500" in capsys.readouterr().out


def test_every_choice_reaches_the_recipe(tuned: Recipe) -> None:
    chosen = {"learning_rate": 0.003, "dropout": 0.1, "width": 8, "dense": 32, "augmentation": 0.5}
    found = suggest(optuna.trial.FixedTrial(chosen), tuned)
    assert (found.widths, found.dense, found.dropout) == ((8, 16, 32), (32, 8), 0.1)
    assert found.optimizer.learning_rate == 0.003
    assert found.augment.rotation == tuned.augment.rotation / 2


def test_a_network_of_fixed_widths_is_not_tuned(recipe: Recipe, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="fixed widths"):
        tune(recipe, pictures, tmp_path, trials=1)


def test_a_refit_is_not_tuned(tuned: Recipe, pictures: Path, tmp_path: Path) -> None:
    refit = tuned.data.model_copy(update={"refit": True})
    with pytest.raises(RecipeError, match="nothing out that could judge"):
        tune(tuned.model_copy(update={"data": refit}), pictures, tmp_path, trials=1)
