"""A search for hyper-parameters: Optuna's trials over the tuned CNN, each of them a run that ends early if it lags.

Trials are kept in a journal file, so that a search goes on where it stopped; a trial that was cut off is tried again.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import yaml
from matplotlib.figure import Figure
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from training.config import Recipe, read_recipe
from training.data.index import read_index, write_index
from training.errors import DivergedError, RecipeError
from training.history import Line
from training.index import INDEX, Lister, index
from training.networks.plain import SHAPES
from training.progress import Watcher, nobody
from training.recipefile import merge
from training.run import RECIPE
from training.train import train
from training.whole import write_whole

JOURNAL = "journal.log"
BEST_TRIAL = "best_trial.json"
IMPORTANCE = "importance.png"
SHARES = ("rotation", "shift", "zoom", "stretch", "gamma", "contrast", "remap", "blur", "noise")
"""Augmentations whose strength is tuned together."""
ENOUGH = 10
"""Complete trials from which importances say anything."""
DONE = (TrialState.COMPLETE, TrialState.PRUNED)


def tune(
    recipe: Recipe, data: Path, run: Path, trials: int, *, watcher: Watcher = nobody, lister: Lister = index
) -> FrozenTrial:
    """Search until there are `trials`, then write the best one, a plot and a recipe; the best trial.

    Figures are of the validation folds, by `recipe.best_by`; the test folds stay untouched. Raises `RecipeError` for a
    network whose widths are fixed, for a refit, where the search began with another recipe or on other rows, and where
    no trial came to its end.
    """
    if recipe.architecture not in SHAPES:
        raise RecipeError(f"{recipe.architecture} has fixed widths: tune one of {', '.join(SHAPES)}")
    if recipe.data.refit:
        raise RecipeError("a refit holds nothing out that could judge trials: tune with data.refit=false")
    _begin(recipe, data, run, lister)
    study = open_study(run, recipe.seed)
    while (done := sum(trial.state in DONE for trial in study.trials)) < trials:
        study.sampler = optuna.samplers.TPESampler(seed=recipe.seed + done)
        study.optimize(lambda trial: _try(trial, recipe, data, run, watcher), n_trials=1)
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise RecipeError(f"no trial of {run} came to its end: begin anew with another recipe")
    _write(study, recipe, run)
    return study.best_trial


def open_study(run: Path, seed: int) -> optuna.Study:
    """The run's study, new or as it was left; a trial lagging behind the median after its third epoch is pruned."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(run / JOURNAL))),
        study_name="tune",
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=3),
    )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _begin(recipe: Recipe, data: Path, run: Path, lister: Lister) -> None:
    """Index and note the recipe, unless trials that were made otherwise would be held against those to come."""
    begun = (run / JOURNAL).exists()
    if begun and (run / RECIPE).exists() and read_recipe(run / RECIPE) != recipe:
        raise RecipeError(f"{run} began with another recipe: choose a new run")
    rows = read_index(run / INDEX) if begun else []
    lister(recipe, data, run)
    if begun and read_index(run / INDEX) != rows:
        write_index(rows, run / INDEX)
        raise RecipeError(f"{run} began on another index: choose a new run")
    write_whole(run / RECIPE, recipe.model_dump_json(indent=2))


def suggest(trial: BaseTrial, recipe: Recipe) -> Recipe:
    """The recipe with this trial's choices."""
    return Recipe.model_validate(merge(recipe.model_dump(), changes_of(recipe, dict(_suggest(trial)))))


def changes_of(recipe: Recipe, chosen: dict[str, Any]) -> dict[str, Any]:
    """What a trial's parameters change in the recipe."""
    strength = chosen["augmentation"]
    blocks = len(SHAPES[recipe.architecture][0])
    augment = recipe.augment.model_dump()
    return {
        "dropout": chosen["dropout"],
        "widths": [chosen["width"] * 2**block for block in range(blocks)],
        "dense": [chosen["dense"], chosen["dense"] // 4],
        "optimizer": {"learning_rate": chosen["learning_rate"]},
        "augment": {name: min(augment[name] * strength, 0.99 if name != "rotation" else 180) for name in SHARES},
    }


def _suggest(trial: BaseTrial) -> Iterator[tuple[str, Any]]:
    yield "learning_rate", trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    yield "dropout", trial.suggest_float("dropout", 0.0, 0.6)
    yield "width", trial.suggest_categorical("width", [8, 16, 24, 32])
    yield "dense", trial.suggest_categorical("dense", [32, 64, 128])
    yield "augmentation", trial.suggest_float("augmentation", 0.0, 1.5)


def _try(trial: optuna.Trial, recipe: Recipe, data: Path, run: Path, watcher: Watcher) -> float:
    """Train one trial in a run of its own; its best epoch counts, and one that diverges is pruned."""
    chosen, home = suggest(trial, recipe), run / "trials" / str(trial.number)
    home.mkdir(parents=True, exist_ok=True)
    (home / INDEX).write_bytes((run / INDEX).read_bytes())
    scores: list[float] = []
    tell = watcher(chosen, home)

    def watch(line: Line) -> None:
        tell(line)
        scores.append(as_score(recipe, line[recipe.best_by]))
        trial.report(max(scores), line["epoch"])
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        train(chosen, data, home, watch)
    except DivergedError as error:
        raise optuna.TrialPruned from error
    return max(scores)


def as_score(recipe: Recipe, figure: float) -> float:
    """The figure as a score, of which more is better; and a score as the figure."""
    return -figure if recipe.best_by == "val_loss" else figure


def _write(study: optuna.Study, recipe: Recipe, run: Path) -> None:
    best = study.best_trial
    counts = {state.name.lower(): sum(trial.state == state for trial in study.trials) for state in DONE}
    value = as_score(recipe, best.value or 0.0)
    told = {"trial": best.number, recipe.best_by: value, "parameters": best.params, "trials": counts}
    told["importances"] = importances(study)
    write_whole(run / BEST_TRIAL, json.dumps(told, indent=2) + "\n")
    found = merge(recipe.model_dump(mode="json"), changes_of(recipe, best.params), {"name": f"{recipe.name}-best"})
    target = run / f"{recipe.name}-best.yaml"
    command = f"# python -m training experiment {target} --data ../shared/data --run runs/{recipe.name}-best\n"
    target.write_text(command + yaml.safe_dump(found, sort_keys=False, allow_unicode=True))
    _draw_importance(study, recipe, run / IMPORTANCE)


def importances(study: optuna.Study) -> dict[str, float]:
    """How much each parameter decides of being among the best (PED-ANOVA, Watanabe et al. 2023); none of few trials."""
    complete = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    return optuna.importance.get_param_importances(study) if complete >= ENOUGH else {}


def _draw_importance(study: optuna.Study, recipe: Recipe, path: Path) -> None:
    """The importances, and every trial's best figure; one that diverged in its first epoch has none."""
    shares = importances(study)
    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
    bars, points = figure.subplots(1, 2)
    bars.barh(list(shares)[::-1], list(shares.values())[::-1])
    bars.set(xlabel="importance", title="which choice matters" if shares else f"fewer than {ENOUGH} complete trials")
    for state in DONE:
        chosen = [trial for trial in study.trials if trial.state == state and trial.intermediate_values]
        values = [as_score(recipe, max(trial.intermediate_values.values())) for trial in chosen]
        points.plot([trial.number for trial in chosen], values, "o", label=state.name.lower())
    points.set(xlabel="trial", title="best validation figure")
    points.legend()
    figure.savefig(path, metadata={"Software": None})
