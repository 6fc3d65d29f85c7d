"""The commands of the laboratory: recipes measured, compared, cross-validated, pruned and tuned."""

from pathlib import Path
from typing import Annotated

import typer

from training import crossvalidate as crossvalidate_step
from training import foldbaselines, line
from training import prune as prune_step
from training import tune as tune_step
from training.config import Recipe, read_recipe
from training.history import draw_curves
from training.intervals import RESAMPLES
from training.line import say, watcher

RecipeFile = Annotated[Path, typer.Argument(help="The recipe, such as training/recipes/b0_adam.yaml.")]
Data = Annotated[Path, typer.Option(help="Folder with pictures as dataset/label/file.")]
Run = Annotated[Path, typer.Option(help="Folder of the run.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change the recipe, such as --set optimizer.theta=0.25; may be repeated."),
]
Resamples = Annotated[int, typer.Option(min=100, help="Bootstrap resamples for the intervals.")]


def experiment(
    recipe: RecipeFile, data: Data, run: Run, changes: Changes = None, resamples: Resamples = RESAMPLES
) -> None:
    """Index, train, calibrate and measure in torch, whatever the network's size: <run>/report.json, curves.png."""
    chosen = read_recipe(recipe, changes or ())
    line.index(chosen, data, run, None)
    line.train(chosen, data, run)
    line.calibrate(data, run)
    line.evaluate(data, run, resamples)


def crossvalidate(
    recipe: RecipeFile, data: Data, run: Run, changes: Changes = None, resamples: Resamples = RESAMPLES
) -> None:
    """A recipe over all its folds, resumed fold by fold: <run>/crossvalidation.json, baselines.json."""
    chosen = read_recipe(recipe, changes or ())
    found = crossvalidate_step.crossvalidate(chosen, data, run, resamples, watcher=watcher, lister=line.index)
    say(f"crossvalidate → {run / crossvalidate_step.CROSSVALIDATION}: {found.slices} slices")
    for name, spread in (*found.chosen_epoch.items(), *found.test.items()):
        say(f"  {name:20} {spread.mean:.4f} ± {spread.sd:.4f}")
    for name in ("accuracy", "macro_f1"):
        pooled = found.pooled[name]
        say(f"  pooled {name:13} {pooled.value:.4f}  [{pooled.low:.4f}, {pooled.high:.4f}]", markup=False)
    _baselines(chosen, data, run, resamples)


def fold_baselines(
    recipe: RecipeFile, data: Data, run: Run, changes: Changes = None, resamples: Resamples = RESAMPLES
) -> None:
    """What trivial answers reach over a cross-validation's folds, without any training: <run>/baselines.json."""
    _baselines(read_recipe(recipe, changes or ()), data, run, resamples)


def _baselines(recipe: Recipe, data: Path, run: Path, resamples: int) -> None:
    found = foldbaselines.fold_baselines(recipe, data, run, resamples, lister=line.index)
    say(f"fold-baselines → {run / foldbaselines.BASELINES}: {found.slices} slices")
    for name, reached in found.baselines.items():
        say(f"  {name:20} accuracy {reached.accuracy.value:.4f}  macro-F1 {reached.macro_f1.value:.4f}")


def curves(
    runs: Annotated[list[Path], typer.Argument(help="Runs to draw over each other, such as Adam's and SGD's.")],
    out: Annotated[Path, typer.Option(help="The picture to write.")],
) -> None:
    """Learning curves of several runs in one picture."""
    say(f"curves → {draw_curves(runs, out)}")


def prune(
    data: Data,
    run: Annotated[Path, typer.Option(help="A trained run; its levels go below <run>/prune.")],
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of retraining a level.")] = 3,
    *,
    only: Annotated[list[str] | None, typer.Option(help="A level, such as channels-25; may be repeated.")] = None,
    rate: Annotated[
        float, typer.Option(min=0.001, max=1, help="Learning rate over the first training's.")
    ] = prune_step.RATE,
) -> None:
    """Prune weights and channels at several levels, retrain, measure, time: <run>/prune/pruning.md."""
    for level in prune_step.prune(data, run, epochs, only=only or (), rate=rate, watcher=watcher):
        accuracy = f"accuracy {level.accuracy_before:.4f} → {level.accuracy_after:.4f}"
        say(f"  {level.method} {level.percent} %: {accuracy}, {level.time.median:.2f} of the time")
    say(f"prune → {run / 'prune' / 'pruning.md'}")


def tune(
    recipe: RecipeFile,
    data: Data,
    run: Run,
    trials: Annotated[int, typer.Option(min=1, help="Trials in all; those of an interrupted search count.")] = 20,
    changes: Changes = None,
) -> None:
    """Search learning rate, dropout, widths and augmentation: <run>/best_trial.json, importance.png, a recipe."""
    chosen = read_recipe(recipe, changes or ())
    best = tune_step.tune(chosen, data, run, trials, watcher=watcher, lister=line.index)
    figure = f"{chosen.best_by} {tune_step.as_score(chosen, best.value or 0.0):.4f}"
    say(f"tune → {run / tune_step.BEST_TRIAL}: trial {best.number}, {figure}, {best.params}")
