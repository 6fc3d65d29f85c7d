"""No variant is offered that was not held against its base, or that lost too much."""

from pathlib import Path

from service.contract.card import MODEL_FILE
from training.calibrate import read_temperature
from training.config import Recipe
from training.data.index import sha256_of
from training.errors import RegisterError, made_by
from training.variants.integers import precision_of
from training.variants.report import VARIANT, VariantReport, read_variant


def matching_variant(recipe: Recipe, run: Path) -> VariantReport | None:
    """The comparison of the run's graph of now; None for a run that is no variant.

    Integers, cut channels and another size need one (`OrderError`). Raises `RegisterError` where it is of another graph
    or temperature, or where a bar is not met.
    """
    graph = made_by("export", run / MODEL_FILE)
    changed = recipe.channels is not None or recipe.trained_at is not None
    needed = changed or precision_of(graph) != "fp32"
    if not needed and not (run / VARIANT).exists():
        return None
    found = read_variant(made_by("judge-variant", run / VARIANT))
    if (found.sha256, found.temperature) != (sha256_of(graph), read_temperature(run)):
        raise RegisterError(f"{run / VARIANT} was measured on another graph or temperature: run judge-variant again")
    if found.missed:
        raise RegisterError(f"{run} is not offered beside {found.base}: {'; '.join(map(str, found.missed))}")
    return found
