import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from training.config import DistillConfig, Recipe
from training.data.index import NO_FOLD, read_index, write_index
from training.errors import RecipeError
from training.index import INDEX
from training.origin import read_origin
from training.run import RECIPE, load_best
from training.start import bare_network, name_weights
from training.teachers import Teachers, load_teachers
from training.train import train

CPU = torch.device("cpu")
SLICES = torch.rand(5, 64, 64, generator=torch.Generator().manual_seed(3)) * 255


def taught_by(recipe: Recipe, *homes: Path, **choices: Any) -> Recipe:
    return recipe.model_copy(update={"distill": DistillConfig(teachers=homes, **choices)})


def test_teachers_answer_with_the_mean_of_their_probabilities(finished: Path, recipe: Recipe) -> None:
    first, second = (load_best(recipe, finished) for _ in range(2))
    with torch.no_grad():
        second.state_dict()["head.bias"] += torch.arange(4)
        wanted = sum((network(SLICES).logits / 4).softmax(dim=1) for network in (first, second)) / 2
    taught = Teachers([first, second], DistillConfig(temperature=4, weight=0.3)).teach(SLICES)
    assert taught is not None
    torch.testing.assert_close(taught.probabilities, wanted)
    assert (taught.temperature, taught.weight) == (4, 0.3)


def test_teachers_neither_learn_nor_draw_dropout(finished: Path, recipe: Recipe) -> None:
    network = load_best(recipe, finished).train()
    teachers = Teachers([network], DistillConfig())
    first, again = (teachers.teach(SLICES) for _ in range(2))
    assert first is not None
    assert again is not None
    assert torch.equal(first.probabilities, again.probabilities)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_without_teachers_nobody_teaches(run: Path, recipe: Recipe) -> None:
    assert load_teachers(recipe, run, CPU).teach(SLICES) is None


def test_a_student_comes_nearer_to_its_teacher(finished: Path, run: Path, pictures: Path, recipe: Recipe) -> None:
    """A teacher that answers `pituitary` to everything, and labels that count for nothing."""
    state = torch.load(finished / "best.pt", weights_only=True)
    state["network"]["head.bias"] += torch.tensor([0.0, 0.0, 0.0, 20.0])
    teacher = Path(shutil.copytree(finished, run.parent / "teacher"))
    torch.save(state, teacher / "best.pt")
    haste = {"average": 0.0, "learning_rate": 0.01, "warmup_epochs": 0, "batch_size": 2}
    quick = recipe.model_copy(update={"optimizer": recipe.optimizer.model_copy(update=haste)})
    chosen = taught_by(quick, teacher, weight=1)
    train(chosen, pictures, run)
    with torch.no_grad():
        after = load_best(chosen, run)(SLICES).logits.softmax(dim=1)
        before = load_best(recipe, finished)(SLICES).logits.softmax(dim=1)
    assert float(after[:, 3].mean()) > float(before[:, 3].mean()) + 0.2
    assert "; taught by teacher (sha256 " in read_origin(run).weights
    assert read_origin(run).weights == name_weights(chosen)


def test_a_teacher_of_other_classes_is_refused(finished: Path, run: Path, recipe: Recipe) -> None:
    teacher = Path(shutil.copytree(finished, run.parent / "teacher"))
    names = {"class_names": ("glioma", "meningioma", "no_tumor", "tumor")}
    shares = {"data": recipe.data.model_copy(update={"shares": dict.fromkeys(names["class_names"], 1.0)})}
    (teacher / RECIPE).write_text(recipe.model_copy(update=names | shares).model_dump_json())
    with pytest.raises(RecipeError, match="teaches glioma, meningioma, no_tumor, tumor, not glioma"):
        load_teachers(taught_by(recipe, teacher), run, CPU)


def test_a_teacher_of_one_size_is_refused_where_a_stage_has_another(finished: Path, run: Path, recipe: Recipe) -> None:
    teacher = Path(shutil.copytree(finished, run.parent / "teacher"))
    plain = recipe.model_copy(update={"architecture": "sequential_1", "stages": recipe.stages[-1:]})
    (teacher / RECIPE).write_text(plain.model_dump_json())
    torch.save({"network": bare_network(plain).state_dict()}, teacher / "best.pt")
    with pytest.raises(RecipeError, match="answers slices of 64 px alone"):
        load_teachers(taught_by(recipe, teacher), run, CPU)
    load_teachers(taught_by(plain, teacher), run, CPU)


@pytest.mark.parametrize(
    ("theirs", "allowed"),
    [
        ({"train_folds": (1, 2, 3), "val_folds": (4,), "test_folds": (5,)}, True),
        ({"train_folds": (1, 2), "val_folds": (4,), "test_folds": (3, 5)}, True),
        ({"train_folds": (1, 2), "val_folds": (5,), "test_folds": (3, 4)}, False),
        ({"train_folds": (1, 2, 5), "val_folds": (4,), "test_folds": (3,)}, False),
        ({"train_folds": (1, 2, 4), "val_folds": (3,), "test_folds": (5,)}, False),
    ],
)
def test_a_teacher_that_learnt_what_is_held_out_is_refused(
    finished: Path, run: Path, recipe: Recipe, theirs: dict[str, tuple[int, ...]], allowed: bool
) -> None:
    teacher = Path(shutil.copytree(finished, run.parent / "teacher"))
    changed = recipe.model_copy(update={"data": recipe.data.model_copy(update=theirs)})
    (teacher / RECIPE).write_text(changed.model_dump_json())
    if allowed:
        assert load_teachers(taught_by(recipe, teacher), run, CPU).teach(SLICES) is not None
    else:
        with pytest.raises(RecipeError, match="may not teach"):
            load_teachers(taught_by(recipe, teacher), run, CPU)


def test_a_teacher_that_learnt_copies_of_a_source_left_out_is_refused(
    finished: Path, run: Path, recipe: Recipe
) -> None:
    """Its own data set has another name, and another group."""
    rows = read_index(run / INDEX)
    teacher = Path(shutil.copytree(finished, run.parent / "teacher"))
    copied = [replace(row, dataset="copies", group=f"c{row.group}", path=f"c/{row.path}") for row in rows]
    away = [replace(row, dataset="away", fold=NO_FOLD) for row in rows if row.fold == 1]
    write_index([*(row for row in rows if row.fold != 1), *away], run / INDEX)
    names = {"datasets": ("drawn", "away"), "leave_out": ("away",), "train_folds": (2, 3)}
    left_out = recipe.model_copy(update={"data": recipe.data.model_copy(update=names)})
    theirs = recipe.model_dump(mode="json")
    theirs["data"]["datasets"] = ["copies"]
    (teacher / RECIPE).write_text(json.dumps(theirs))
    write_index(copied, teacher / INDEX)
    load_teachers(taught_by(left_out, teacher), run, CPU)
    told = [replace(copy, same_as=row.path) for copy, row in zip(copied, rows, strict=True)]
    write_index(told, teacher / INDEX)
    with pytest.raises(RecipeError, match="may not teach"):
        load_teachers(taught_by(left_out, teacher), run, CPU)


@pytest.mark.parametrize("way", ["taught", "started"])
def test_what_a_teacher_s_own_teacher_or_start_learnt_counts_as_the_teacher_s(
    finished: Path, run: Path, recipe: Recipe, way: str
) -> None:
    """The teacher itself knows nothing of the source that is left out here; the run behind it learnt it."""
    teacher, behind = (Path(shutil.copytree(finished, run.parent / name)) for name in ("teacher", "behind"))
    rows = [replace(row, dataset="away", fold=NO_FOLD) if row.fold == 1 else row for row in read_index(run / INDEX)]
    write_index(rows, run / INDEX)
    names = {"datasets": ("drawn", "away"), "leave_out": ("away",), "train_folds": (2, 3)}
    left_out = recipe.model_copy(update={"data": recipe.data.model_copy(update=names)})
    known = recipe.model_copy(update={"data": recipe.data.model_copy(update={"train_folds": (2, 3)})})
    write_index([row for row in rows if row.dataset == "drawn"], teacher / INDEX)
    (teacher / RECIPE).write_text(known.model_dump_json())
    load_teachers(taught_by(left_out, teacher), run, CPU)
    start = known.model_copy(update={"weights": behind / "best.pt", "weights_as": "whole"})
    (teacher / RECIPE).write_text((taught_by(known, behind) if way == "taught" else start).model_dump_json())
    with pytest.raises(RecipeError, match="may not teach: 10 of the slices"):
        load_teachers(taught_by(left_out, teacher), run, CPU)


@pytest.mark.parametrize("split", ["fresh", "teacher"])
def test_a_teacher_is_refused_whichever_side_dealt_slices_one_by_one(
    finished: Path, run: Path, recipe: Recipe, split: str
) -> None:
    """Its groups have other names then, each slice's own."""
    teacher = Path(shutil.copytree(finished, run.parent / "teacher"))
    learnt = {"train_folds": (1, 2, 5), "test_folds": (3,)}
    changed = recipe.model_copy(update={"data": recipe.data.model_copy(update=learnt)})
    (teacher / RECIPE).write_text(changed.model_dump_json())
    index = run.parent / split / INDEX
    write_index([replace(row, group=row.path) for row in read_index(index)], index)
    with pytest.raises(RecipeError, match="may not teach"):
        load_teachers(taught_by(recipe, teacher), run, CPU)


def test_a_teacher_that_learnt_a_near_duplicate_is_refused_where_slices_were_dealt_one_by_one(
    finished: Path, run: Path, recipe: Recipe
) -> None:
    """The student's index calls two slices of a group apart; the teacher's knows better, and learnt one of them."""
    teacher = Path(shutil.copytree(finished, run.parent / "teacher"))
    rows = read_index(teacher / INDEX)
    pair = next((one, other) for one in rows for other in rows if one.group == other.group and one.path < other.path)
    told = [replace(row, fold=1 if row in pair else 4) for row in rows]
    write_index(told, teacher / INDEX)
    parted = [replace(row, group=row.path, fold=5 if row.path == pair[0].path else 1) for row in rows]
    write_index(parted, run / INDEX)
    with pytest.raises(RecipeError, match="1 of the slices held out here"):
        load_teachers(taught_by(recipe, teacher), run, CPU)
