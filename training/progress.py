"""How far a training is and how long it may still take: a line an epoch, for the log of one that nobody watches."""

from collections.abc import Callable
from pathlib import Path

from training.batches import size_of
from training.config import Recipe
from training.history import Line

SHOWN = ("train_loss", "val_loss", "val_accuracy", "val_macro_f1")
Watch = Callable[[Line], None]
Watcher = Callable[[Recipe, Path], Watch]
"""Gives what is shown the epochs of a run that is about to be trained."""


def nobody(_: Recipe, __: Path) -> Watch:
    """A watcher that says nothing."""
    return lambda _: None


def teller(say: Callable[[str], object]) -> Watcher:
    """A watcher that says each epoch's figures, and the time that is left."""

    def watcher(recipe: Recipe, run: Path) -> Watch:
        lines: list[Line] = []
        name = "/".join(run.parts[-2:])

        def watch(line: Line) -> None:
            lines.append(line)
            say(f"  {name}, {in_words(recipe, lines)}")

        return watch

    return watcher


def in_words(recipe: Recipe, lines: list[Line]) -> str:
    """The last of the epochs that this process trained."""
    last = lines[-1]
    names = [name for name in dict.fromkeys((*SHOWN, recipe.best_by)) if last.get(name) is not None]
    figures = "  ".join(f"{name} {last[name]:.4f}" for name in names)
    best = ", the best so far" if last["best"] and not recipe.data.refit else ""
    number = last["epoch"] + 1
    left = f"; at most {duration(seconds_left(recipe, lines))} left" if number < recipe.epochs else ""
    return f"epoch {number} of {recipe.epochs}, {last['size']} px: {figures}{best}{left}"


def seconds_left(recipe: Recipe, lines: list[Line]) -> float:
    """What all epochs still to come would take, as long a pixel as those of `lines` took; patience may end them."""
    pace: float = sum(line["seconds"] for line in lines) / sum(line["size"] ** 2 for line in lines)
    return pace * sum(size_of(recipe, epoch) ** 2 for epoch in range(lines[-1]["epoch"] + 1, recipe.epochs))


def duration(seconds: float) -> str:
    """`45 s`, `12 min` or `3 h 20 min`."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
