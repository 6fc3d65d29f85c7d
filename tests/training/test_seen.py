"""What a registered version learnt from, as far as its card can tell."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from service.contract.card import CARD_FILE, MODEL_FILE
from training.config import Recipe
from training.data.index import read_index, write_index
from training.errors import RecipeError
from training.history import read_history
from training.index import INDEX
from training.origin import read_origin
from training.register import register
from training.run import RECIPE
from training.seen import count_seen
from training.train import train


@pytest.fixture
def bundle(finished: Path, tmp_path: Path) -> Path:
    return register(Path(shutil.copytree(finished, tmp_path / "run")), tmp_path / "models", "To go on from it.")


def going_on(recipe: Recipe, bundle: Path) -> Recipe:
    return recipe.model_copy(update={"weights": bundle / MODEL_FILE, "weights_as": "graph"})


def change_card(bundle: Path, **changes: object) -> None:
    path = bundle / CARD_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_run_goes_on_from_a_registered_version(
    finished: Path, bundle: Path, run: Path, pictures: Path, recipe: Recipe
) -> None:
    train(going_on(recipe, bundle), pictures, run)
    begun = read_history(run)[0]["train_loss"]
    assert begun < read_history(finished)[0]["train_loss"]
    assert read_origin(run).weights.startswith("graph of tiny/1/model.onnx (sha256 ")


def test_a_version_that_learnt_what_is_held_out_is_no_start(
    bundle: Path, run: Path, pictures: Path, recipe: Recipe
) -> None:
    swapped = recipe.data.model_copy(update={"train_folds": (1, 2, 5), "test_folds": (3,)})
    held = sum(row.fold == 3 for row in read_index(run / INDEX))
    with pytest.raises(
        RecipeError, match=rf"1/model\.onnx is no start: {held} of the slices held out here were its own"
    ):
        train(going_on(recipe.model_copy(update={"data": swapped}), bundle), pictures, run)


def test_slices_that_chose_a_versions_epoch_are_not_tested_on(
    bundle: Path, run: Path, pictures: Path, recipe: Recipe
) -> None:
    swapped = recipe.data.model_copy(update={"val_folds": (5,), "test_folds": (4,)})
    with pytest.raises(RecipeError, match="is no start"):
        train(going_on(recipe.model_copy(update={"data": swapped}), bundle), pictures, run)


def test_a_version_whose_slices_were_dealt_otherwise_is_no_start(
    bundle: Path, run: Path, pictures: Path, recipe: Recipe
) -> None:
    change_card(bundle, data=json.loads((bundle / CARD_FILE).read_text())["data"] | {"index_sha256": "0" * 64})
    with pytest.raises(RecipeError, match="tiny, version 1, learnt drawn, dealt out otherwise than here"):
        train(going_on(recipe, bundle), pictures, run)


def test_slices_of_ones_own_may_join_or_replace_those_that_a_version_learnt(
    bundle: Path, run: Path, pictures: Path, recipe: Recipe
) -> None:
    ours = [replace(row, dataset="ours", group=f"ours{row.group}") for row in read_index(run / INDEX)]
    write_index([*read_index(run / INDEX), *ours], run / INDEX)
    joined = recipe.data.model_copy(update={"datasets": ("drawn", "ours")})
    replaced = recipe.data.model_copy(update={"datasets": ("ours",), "train_folds": (1, 2, 5), "test_folds": (3,)})
    for name, data in (("joined", joined), ("replaced", replaced)):
        home = Path(shutil.copytree(run, run.parent / name))
        assert train(going_on(recipe.model_copy(update={"data": data}), bundle), pictures, home).exists()


def test_copies_of_what_a_version_may_have_learnt_are_not_held_out(
    bundle: Path, run: Path, pictures: Path, recipe: Recipe
) -> None:
    rows = read_index(run / INDEX)
    copy = next(row for row in rows if row.fold == 5)
    ours = [replace(row, dataset="ours", same_as=row.path if row == copy else "") for row in rows]
    write_index(ours, run / INDEX)
    chosen = recipe.model_copy(update={"data": recipe.data.model_copy(update={"datasets": ("ours",)})})
    with pytest.raises(RecipeError, match="is no start: 1 of the slices held out here were its own"):
        train(going_on(chosen, bundle), pictures, run)


def test_a_version_of_other_classes_or_with_a_broken_card_is_no_start(
    bundle: Path, run: Path, pictures: Path, recipe: Recipe
) -> None:
    other = recipe.model_copy(update={"class_names": recipe.class_names[::-1]})
    with pytest.raises(RecipeError, match="1 answers glioma, meningioma, no_tumor, pituitary, the recipe pituitary"):
        train(going_on(other, bundle), pictures, run)
    (bundle / CARD_FILE).write_text("{}")
    with pytest.raises(RecipeError, match=r"card\.json cannot be read"):
        train(going_on(recipe, bundle), pictures, run)


def test_what_a_version_learnt_counts_for_runs_that_began_with_it(
    finished: Path, bundle: Path, run: Path, recipe: Recipe
) -> None:
    home = Path(shutil.copytree(finished, run.parent / "between"))
    (home / RECIPE).write_text(going_on(recipe, bundle).model_dump_json())
    data = recipe.data.model_copy(update={"train_folds": (1, 2), "val_folds": (3,), "test_folds": (5,)})
    card = json.loads((bundle / CARD_FILE).read_text())
    assert count_seen(home, recipe, run) == 0
    card["training"]["recipe"]["data"] |= {"train_folds": [1, 2, 3, 5], "test_folds": []}
    change_card(bundle, training=card["training"])
    held = sum(row.fold in {3, 5} for row in read_index(run / INDEX))
    assert count_seen(home, recipe.model_copy(update={"data": data}), run) == held
