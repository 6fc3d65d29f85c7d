"""The folder of a variant: another run's choices and weights, so that every later step finds what it reads."""

import shutil
from pathlib import Path

from training import checkpoint
from training.config import Recipe, read_recipe
from training.errors import RecipeError, made_by
from training.index import INDEX
from training.origin import ORIGIN_FILE
from training.run import RECIPE
from training.whole import write_whole

COPIED = {INDEX: "index", ORIGIN_FILE: "train", checkpoint.BEST: "train"}


def begin(run: Path, to: Path, suffix: str) -> Recipe:
    """Write recipe, index, origin and weights of `run` into `to`, named after both.

    Raises `RecipeError` where `to` was trained itself, whose files are not to be written over.
    """
    if (to / checkpoint.LAST).exists():
        raise RecipeError(f"{to} was trained itself: choose a folder of its own for the variant")
    recipe = read_recipe(made_by("train", run / RECIPE))
    to.mkdir(parents=True, exist_ok=True)
    for name, step in COPIED.items():
        shutil.copyfile(made_by(step, run / name), to / name)
    renamed = recipe.model_copy(update={"name": f"{recipe.name}-{suffix}"})
    write_whole(to / RECIPE, renamed.model_dump_json(indent=2))
    return renamed
