"""What a trained network can lose: weights by magnitude, at once or step by step, and whole channels.

Every level is a run of its own below `<run>/prune/`, retrained by the ordinary loop, so that it resumes, exports and
registers as any other.
"""

import json
import shutil
from collections.abc import Collection, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict
from sklearn.metrics import f1_score

from service.contract.card import MODEL_FILE
from training import checkpoint
from training.config import Recipe, Stage, read_recipe
from training.data.index import sha256_of
from training.data.slices import Slices
from training.errors import OrderError, RecipeError, made_by
from training.export import export_network
from training.index import INDEX
from training.networks.channels import prune_channels
from training.networks.classifier import Classifier
from training.networks.magnitude import cut_weights, share_of_zeros
from training.progress import Watcher, nobody
from training.pruning_report import Ratio, compare_times, write_report
from training.run import RECIPE, load_best, load_folds
from training.train import train
from training.validation import logits_of
from training.whole import write_whole

LEVEL = "level.json"
START = "start.pt"
CHANNELS = "channels.json"
RATE = 0.6
"""Learning rate of retraining over that of the first training."""
AVERAGE = 0.98
"""Most decay of the weights' average while retraining: a few hundred steps must forget the damaged start."""


class Plan(NamedTuple):
    """One level: how, how much, and the level whose result it starts from (none: the run's own)."""

    method: Literal["oneshot", "iterative", "channels"]
    percent: int
    after: str | None = None

    @property
    def name(self) -> str:
        """Its folder."""
        return f"{self.method}-{self.percent}"


PLANS = (
    *(Plan("oneshot", percent) for percent in (30, 50, 70, 90)),
    Plan("iterative", 75, "oneshot-50"), Plan("iterative", 90, "iterative-75"),
    *(Plan("channels", percent) for percent in (10, 15, 25, 50)),
)  # fmt: skip
"""Step by step begins with half of the weights, as at once does. Channels begin with few: the fast variant comes from
these, which may lose less than one point."""


class Level(BaseModel):
    """What a level has, answers and costs; accuracy and macro-F1 on the test folds, of known class.

    It was retrained for `epochs` at most, from `learning_rate`: levels made at different times may differ in them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    percent: int
    epochs: int
    learning_rate: float
    checkpoint_sha256: str
    weights: int
    zeros: float
    accuracy_before: float
    accuracy_after: float
    macro_f1_before: float
    macro_f1_after: float
    time: Ratio


def prune(
    data: Path,
    run: Path,
    epochs: int = 3,
    *,
    only: Collection[str] = (),
    rate: float = RATE,
    watcher: Watcher = nobody,
) -> list[Level]:
    """Prune and retrain what is still missing, then write `pruning.json`, `.md` and `.png` into `<run>/prune`.

    `epochs` of retraining a level, at `rate` of the first training's learning rate; `only` these levels, by name, are
    made, and those there already are reported with them. Raises `RecipeError` for a run that was pruned itself.
    """
    recipe = read_recipe(made_by("train", run / RECIPE))
    if recipe.channels or recipe.keep_zeros:
        raise RecipeError(f"{run} was pruned already: prune the run it came from")
    tested = load_folds(recipe, data, run, recipe.data.test_folds)
    known = tested.select(tested.known)
    home = run / "prune"
    dense = _graph(load_best(recipe, run), home / "dense", known)
    levels = [
        _level(plan, _retraining(recipe, epochs, rate), data, run, known=known, dense=dense, watcher=watcher)
        for plan in _chosen(only, home)
    ]
    accuracy = _figures(load_best(recipe, run), known)[0]
    write_report([level.model_dump() for level in levels], accuracy, home)
    return levels


def _chosen(only: Collection[str], home: Path) -> list[Plan]:
    """All levels, or those named and those that are there already."""
    if unknown := set(only) - {plan.name for plan in PLANS}:
        raise RecipeError(f"there is no level {', '.join(sorted(unknown))}: {', '.join(plan.name for plan in PLANS)}")
    return [plan for plan in PLANS if not only or plan.name in only or (home / plan.name / LEVEL).exists()]


def _retraining(recipe: Recipe, epochs: int, rate: float) -> Recipe:
    """The recipe for a few epochs, through the sizes of its stages in their proportion, the last one always."""
    ends = list(accumulate(stage.epochs for stage in recipe.stages))[:-1]
    marks = [0, *(min(round(epochs * end / recipe.epochs), epochs - 1) for end in ends), epochs]
    spans = zip(recipe.stages, marks, marks[1:], strict=False)
    stages = tuple(Stage(size=stage.size, epochs=end - start) for stage, start, end in spans if end > start)
    learning = {
        "learning_rate": recipe.optimizer.learning_rate * rate,
        "warmup_epochs": 0,
        "average": min(recipe.optimizer.average, AVERAGE),
    }
    optimizer = recipe.optimizer.model_copy(update=learning)
    return recipe.model_copy(update={"stages": stages, "optimizer": optimizer, "freeze": False})


def _level(plan: Plan, recipe: Recipe, data: Path, run: Path, *, known: Slices, dense: Path, watcher: Watcher) -> Level:
    home = run / "prune" / plan.name
    digest = sha256_of(run / checkpoint.BEST)
    if (home / LEVEL).exists():
        done = Level.model_validate(_effort(read_recipe(home / RECIPE)) | json.loads((home / LEVEL).read_bytes()))
        _refuse_other(done.checkpoint_sha256, digest, home)
        return done
    changed = _begin(plan, recipe, run, home, digest=digest)
    train(changed, data, home, watcher(changed, home))
    before = load_best(changed, home)
    before.load_state_dict(checkpoint.load(home / START)["network"])
    after = load_best(changed, home)
    (accuracy_before, f1_before), (accuracy_after, f1_after) = (_figures(each, known) for each in (before, after))
    level = Level(
        method=plan.method,
        percent=plan.percent,
        **_effort(changed),
        checkpoint_sha256=digest,
        weights=sum(weight.numel() for weight in after.parameters()),
        zeros=share_of_zeros(after),
        accuracy_before=accuracy_before,
        accuracy_after=accuracy_after,
        macro_f1_before=f1_before,
        macro_f1_after=f1_after,
        time=compare_times(dense, _graph(after, home, known), known.pixels[:8]),
    )
    write_whole(home / LEVEL, level.model_dump_json(indent=2) + "\n")
    return level


def _effort(recipe: Recipe) -> dict[str, Any]:
    """How long a level is retrained and how fast; one made before levels said so has it in its recipe alone."""
    return {"epochs": recipe.epochs, "learning_rate": recipe.optimizer.learning_rate}


def _refuse_other(digest: str, wanted: str, home: Path) -> None:
    if digest != wanted:
        raise OrderError(f"{home} was pruned from another checkpoint: remove {home.parent} and begin again")


def _begin(plan: Plan, recipe: Recipe, run: Path, home: Path, *, digest: str) -> Recipe:
    """Cut, keep the result as the level's starting weights, and say how it is retrained.

    Raises `OrderError` where the level before is not finished, or this one began from another checkpoint than the one
    of `digest`.
    """
    if plan.after:
        made_by(f"prune --only {plan.after}", home.parent / plan.after / LEVEL)
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / INDEX, home / INDEX)
    if (home / START).exists():
        _refuse_other(checkpoint.load(home / START).get("checkpoint_sha256", digest), digest, home)
    else:
        network = load_best(recipe, home.parent / plan.after if plan.after else run)
        if plan.method == "channels":
            history = prune_channels(network, recipe.size, plan.percent / 100)
            write_whole(home / CHANNELS, json.dumps(history))
        else:
            cut_weights(network, plan.percent / 100)
        checkpoint.save({"network": network.state_dict(), "checkpoint_sha256": digest}, home / START)
    return recipe.model_copy(update=dict(_changes(plan, recipe, home)))


def _changes(plan: Plan, recipe: Recipe, home: Path) -> Iterator[tuple[str, object]]:
    yield "name", f"{recipe.name}-{plan.name}"
    yield "weights", home / START
    yield "weights_as", "whole"
    yield "keep_zeros", plan.method != "channels"
    yield "channels", home / CHANNELS if plan.method == "channels" else None


def _figures(network: Classifier, known: Slices) -> tuple[float, float]:
    """Accuracy and macro-F1."""
    answers = logits_of(network, known, "cpu").argmax(dim=1).numpy()
    return float((answers == known.targets).mean()), float(f1_score(known.targets, answers, average="macro"))


def _graph(network: Classifier, home: Path, known: Slices) -> Path:
    """The network as the service would run it, written once."""
    home.mkdir(parents=True, exist_ok=True)
    digest = sha256_of(home / checkpoint.BEST) if (home / checkpoint.BEST).exists() else "0" * 64
    target = home / MODEL_FILE
    return target if target.exists() else export_network(network, target, known.pixels[:8], origin=digest)
