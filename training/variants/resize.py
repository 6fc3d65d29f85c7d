"""`python -m training resize`: a run's weights at another input size, as a run that registers like any other."""

from pathlib import Path

from training.config import Recipe, read_recipe
from training.errors import RecipeError, made_by
from training.networks.plain import PlainNetwork
from training.run import RECIPE
from training.start import bare_network
from training.variants.begin import begin
from training.variants.guard import refuse_quantized
from training.whole import write_whole


def resize(run: Path, to: Path, size: int) -> Recipe:
    """Write the variant's run `to`, whose weights are `run`'s; nothing is trained.

    Convolutions and a global mean take any size; what they find at another scale is for calibration, evaluation and
    `judge-variant` to say. Raises `RecipeError` for a network whose weights fit one size alone, at its own size, and
    where `to` holds a variant of another size, whose temperature and graph would pass for this one's.
    """
    refuse_quantized(run, "resize")
    recipe = read_recipe(made_by("train", run / RECIPE))
    if size == recipe.size:
        raise RecipeError(f"{run} answers at {size} px already")
    if isinstance(bare_network(recipe).backbone, PlainNetwork):
        raise RecipeError(f"{recipe.architecture} has weights for {recipe.size} px alone")
    if (to / RECIPE).exists() and read_recipe(to / RECIPE).size != size:
        raise RecipeError(f"{to} holds a variant of another size: choose a folder of its own")
    changes = {"size": size, "trained_at": recipe.trained_at or recipe.size}
    resized = begin(run, to, f"{size}px").model_copy(update=changes)
    write_whole(to / RECIPE, resized.model_dump_json(indent=2))
    return resized
