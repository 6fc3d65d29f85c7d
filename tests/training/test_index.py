import shutil
from pathlib import Path

import pytest

from training import checkpoint
from training.config import Recipe
from training.data.index import read_index, sha256_of, write_index
from training.errors import DataError
from training.index import INDEX, UNREADABLE, index


@pytest.fixture
def copied(pictures: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pictures, tmp_path / "data"))


def test_folders_become_rows_with_groups_and_folds(finished: Path, pictures: Path) -> None:
    rows = read_index(finished / INDEX)
    assert len(rows) == 50
    assert {row.fold for row in rows} == {1, 2, 3, 4, 5}
    assert all(row.sha256 == sha256_of(pictures / row.path) for row in rows)
    assert rows[0].path == "drawn/glioma/0-mirrored.png"
    assert (rows[0].dataset, rows[0].label, rows[0].width, rows[0].height) == ("drawn", "glioma", 72, 80)


def test_a_picture_and_its_mirror_image_share_a_group(finished: Path) -> None:
    rows = read_index(finished / INDEX)
    assert len({row.group for row in rows}) == 25
    assert all(first.group == second.group for first, second in zip(rows[::2], rows[1::2], strict=True))


def test_published_groups_and_folds_are_taken_as_they_are(
    finished: Path, copied: Path, recipe: Recipe, tmp_path: Path
) -> None:
    published = [*read_index(finished / INDEX)]
    published.reverse()
    write_index(published, copied / INDEX)
    assert read_index(index(recipe, copied, tmp_path / "run")) == published


def test_changed_and_missing_files_are_counted_and_named(
    finished: Path, copied: Path, recipe: Recipe, tmp_path: Path
) -> None:
    (copied / "drawn/glioma/0.png").write_bytes(b"changed")
    (copied / "drawn/tumor/1.png").unlink()
    with pytest.raises(DataError, match=r"2 of 50 files .*glioma/0\.png \(changed\), drawn/tumor/1\.png \(missing\)"):
        index(recipe, copied, tmp_path / "run", published=finished / INDEX)


def test_a_published_index_that_is_not_there_is_refused(copied: Path, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        index(recipe, copied, tmp_path / "run", published=tmp_path / "nowhere.csv")


def test_a_dataset_without_pictures_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="drawn/label/file"):
        index(recipe, tmp_path, tmp_path / "run")


def test_a_file_that_is_no_picture_is_listed_and_left_out(copied: Path, recipe: Recipe, tmp_path: Path) -> None:
    (copied / "drawn/glioma/0.png").write_bytes(b"text")
    rows = read_index(index(recipe, copied, tmp_path / "run"))
    assert len(rows) == 49
    assert (tmp_path / "run" / UNREADABLE).read_text().startswith("drawn/glioma/0.png: ")


def test_a_label_that_is_no_class_is_refused(copied: Path, recipe: Recipe, tmp_path: Path) -> None:
    (copied / "drawn/glioma").rename(copied / "drawn/cat")
    with pytest.raises(DataError, match="labels cat are neither"):
        index(recipe, copied, tmp_path / "run")


def test_a_label_without_a_share_is_refused_where_shares_decide(pictures: Path, recipe: Recipe, tmp_path: Path) -> None:
    shares = {label: share for label, share in recipe.data.shares.items() if label != "tumor"}
    without = recipe.model_copy(update={"data": recipe.data.model_copy(update={"shares": shares})})
    with pytest.raises(DataError, match="tumor no share"):
        index(without, pictures, tmp_path / "run")
    assert index(without.model_copy(update={"draw": "once"}), pictures, tmp_path / "run").exists()


def test_another_seed_may_train_on_the_same_folds(
    finished: Path, pictures: Path, recipe: Recipe, tmp_path: Path
) -> None:
    first, other = read_index(finished / INDEX), recipe.seed + 1
    same = recipe.model_copy(update={"seed": other, "data": recipe.data.model_copy(update={"seed": recipe.seed})})
    assert read_index(index(same, pictures, tmp_path / "same")) == first
    dealt_anew = recipe.model_copy(update={"seed": other})
    assert read_index(index(dealt_anew, pictures, tmp_path / "anew")) != first


@pytest.mark.parametrize("lacks", ["training folds 1", "test folds 5"])
def test_a_class_that_cannot_be_learnt_or_measured_is_told_before_training(
    finished: Path, copied: Path, recipe: Recipe, tmp_path: Path, lacks: str
) -> None:
    lone = recipe.model_copy(update={"data": recipe.data.model_copy(update={"train_folds": (1,)})})
    rows = [row for row in read_index(finished / INDEX) if (row.fold, row.label) != (int(lacks[-1]), "glioma")]
    write_index(rows, copied / INDEX)
    with pytest.raises(DataError, match=f"the {lacks} hold no glioma"):
        index(lone, copied, tmp_path / "run")
    assert not (tmp_path / "run" / INDEX).exists()


def test_the_index_under_a_trained_run_is_not_exchanged(
    finished: Path, copied: Path, recipe: Recipe, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    index(recipe, copied, run)
    shutil.copyfile(finished / checkpoint.LAST, run / checkpoint.LAST)
    index(recipe, copied, run)
    (copied / "drawn/glioma/0.png").unlink()
    with pytest.raises(DataError, match="another index"):
        index(recipe, copied, run)
