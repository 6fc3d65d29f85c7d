import re
from pathlib import Path

import pytest

from training.config import Recipe, read_recipe
from training.errors import RecipeError

RECIPES = sorted((Path(__file__).parents[2] / "training" / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_sound_and_its_first_line_is_the_command_that_runs_it(path: Path) -> None:
    read_recipe(path)
    command = rf"# python -m training (line|experiment|crossvalidate|tune) training/recipes/{path.name} --data "
    assert re.match(command, path.read_text())


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


def test_a_recipe_that_extends_another_says_only_what_differs(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "parent.yaml").write_text(recipe.model_dump_json())
    (tmp_path / "child.yaml").write_text(
        "{extends: parent.yaml, seed: 3, data: {shares: {glioma: 1, meningioma: 1, no_tumor: 1, pituitary: 1}}}"
    )
    child = read_recipe(tmp_path / "child.yaml", ["optimizer.learning_rate=0.1", "augment.mixup=0"])
    assert (child.seed, child.optimizer.learning_rate, child.augment.mixup) == (3, 0.1, 0)
    assert child.optimizer.batch_size == recipe.optimizer.batch_size
    assert set(child.data.shares) == set(recipe.class_names)


def test_a_change_without_a_value_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(recipe.model_dump_json())
    with pytest.raises(RecipeError, match="name=value"):
        read_recipe(tmp_path / "recipe.yaml", ["seed"])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (["head=sigmoid"], "two class_names"),
        (["weights_as=whole"], "weights names none"),
        (["optimizer.theta=0.5"], "need data.outlines"),
        (["best_by=val_dice"], "needs optimizer.theta"),
        (["data.refit=true", "optimizer.schedule=plateau"], "no validation"),
        (["temperature_of=runs/other"], "of a refit alone"),
        (["cells=true"], "learnt from outlines"),
        (["doubt=0"], "doubt is of cells"),
        (["weights=[a.pt, b.pt]"], "several weights go as a mean alone"),
        (["weights=[]"], "at least 2"),
        (["stages=[{size: 32, epochs: 0}]", "size=32", "data.refit=true"], "no epoch"),
        (["stages=[{size: 32, epochs: 0}]", "size=32", "weights=a.pt", "weights_as=whole"], "no epoch"),
        (["cells=true", "architecture=unet/resnet18"], "has no cells"),
        (["cells=true", "distill.teachers=[runs/other]"], "use one of the two"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(
    recipe: Recipe, changes: list[str], complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "recipe.yaml").write_text(recipe.model_dump_json())
    with pytest.raises(RecipeError, match=complaint):
        read_recipe(tmp_path / "recipe.yaml", changes)


def test_one_run_makes_no_mean_and_two_do(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(recipe.model_dump_json())
    with pytest.raises(RecipeError, match="a mean is of several"):
        read_recipe(tmp_path / "recipe.yaml", ["weights=a.pt", "weights_as=mean"])
    mean = read_recipe(tmp_path / "recipe.yaml", ["weights=[a.pt, b.pt]", "weights_as=mean"])
    assert mean.starts == (Path("a.pt"), Path("b.pt"))
    assert Recipe.model_validate_json(mean.model_dump_json()) == mean


@pytest.mark.parametrize("text", ["a: [", "- 1", ""])
def test_what_is_no_recipe_at_all_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(RecipeError):
        read_recipe(tmp_path / "recipe.yaml")
