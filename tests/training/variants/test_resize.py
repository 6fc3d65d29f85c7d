"""A finished run is taken to another input size."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from service.contract.card import MODEL_FILE, read_card
from training import calibrate, checkpoint, evaluate, export
from training.config import read_recipe
from training.data.index import sha256_of
from training.errors import OrderError, RecipeError
from training.graph import Graph
from training.register import register
from training.report import Bar
from training.run import RECIPE, load_folds
from training.variants.judge import judge_variant
from training.variants.report import VARIANT, read_variant
from training.variants.resize import resize


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    resize(finished, tmp_path / "small", 40)
    return tmp_path / "small"


def test_the_weights_are_the_runs_and_the_size_is_not(run: Path, finished: Path) -> None:
    before, after = read_recipe(finished / RECIPE), read_recipe(run / RECIPE)
    assert (after.name, after.size, after.trained_at) == (f"{before.name}-40px", 40, before.size)
    assert sha256_of(run / checkpoint.BEST) == sha256_of(finished / checkpoint.BEST)
    again = resize(run, run.parent / "smaller", 32)
    assert again.trained_at == before.size


def test_a_variant_of_another_size_is_not_written_over(run: Path, finished: Path) -> None:
    """Its weights are the same, so that the temperature found for the one would be taken for the other's."""
    with pytest.raises(RecipeError, match="another size"):
        resize(finished, run, 48)
    assert read_recipe(run / RECIPE).size == 40
    assert resize(finished, run, 40).size == 40


def test_it_is_measured_and_held_against_its_base_before_it_registers(
    run: Path, finished: Path, pictures: Path, tmp_path: Path
) -> None:
    calibrate.calibrate(pictures, run)
    export.export(pictures, run)
    pixels = load_folds(read_recipe(run / RECIPE), pictures, run, (5,)).pixels
    assert pixels.shape[1:] == (40, 40)
    assert np.isfinite(Graph(run / MODEL_FILE)(pixels).logits).all()
    evaluate.evaluate(pictures, run, resamples=100)
    with pytest.raises(OrderError, match="judge-variant"):
        register(run, tmp_path / "models", "Too soon.")
    base = register(finished, tmp_path / "models", "To have a base.")
    found = judge_variant(pictures, run, base, resamples=100)
    assert 0 < found.agreement.value <= 1
    kept = read_variant(run / VARIANT).model_copy(update={"bars": (Bar(figure="speed", at_least=1.15, value=2.0),)})
    (run / VARIANT).write_text(kept.model_dump_json())
    card = read_card(register(run, tmp_path / "models", "Smaller."))
    assert (card.input.height, card.input.width) == (40, 40)
    assert card.training.recipe["trained_at"] == read_recipe(finished / RECIPE).size
    assert any("variant of" in each for each in card.limitations)


def test_its_own_size_and_networks_of_one_size_are_refused(finished: Path, tmp_path: Path) -> None:
    size = read_recipe(finished / RECIPE).size
    with pytest.raises(RecipeError, match="already"):
        resize(finished, tmp_path / "same", size)
    plain = Path(shutil.copytree(finished, tmp_path / "plain"))
    recipe = read_recipe(plain / RECIPE).model_copy(update={"architecture": "sequential_1"})
    (plain / RECIPE).write_text(recipe.model_dump_json())
    with pytest.raises(RecipeError, match="alone"):
        resize(plain, tmp_path / "other", size // 2)
