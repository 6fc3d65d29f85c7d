from pathlib import Path

import pytest

from training.config import Recipe, read_recipe
from training.errors import RecipeError

RECIPES = sorted((Path(__file__).parents[2] / "training" / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_sound_and_its_first_line_is_the_command_that_runs_it(path: Path) -> None:
    read_recipe(path)
    assert path.read_text().startswith(f"# python -m training line training/recipes/{path.name} --data ")


def test_a_recipe_survives_being_saved(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(recipe.model_dump_json())
    assert read_recipe(tmp_path / "recipe.json") == recipe


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("{name: x, architecture: y, size: -1, colour: red}")
    with pytest.raises(RecipeError, match=r"(?s)size: .*colour: ") as refused:
        read_recipe(tmp_path / "recipe.yaml")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"val_folds": [1]}, "two splits"),
        ({"shares": {"glioma": 1.0}}, "every class"),
        ({"test_folds": [6]}, "numbered from 1 to 5"),
        ({"leave_out": ["elsewhere"]}, "not among the datasets"),
    ],
)
def test_choices_that_contradict_each_other_are_refused(
    recipe: Recipe, change: dict[str, object], complaint: str
) -> None:
    raw = recipe.model_dump()
    raw["data"] |= change
    with pytest.raises(ValueError, match=complaint):
        Recipe.model_validate(raw)


@pytest.mark.parametrize("text", ["a: [", "- 1", ""])
def test_what_is_no_recipe_at_all_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(RecipeError):
        read_recipe(tmp_path / "recipe.yaml")
