import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from training import checkpoint, line
from training.config import Recipe
from training.data import folders
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


def test_files_that_are_not_as_published_are_left_out_each_with_its_reason(
    finished: Path, copied: Path, recipe: Recipe, tmp_path: Path
) -> None:
    text = copied / "drawn/no_tumor/2.png"
    text.write_bytes(b"text")
    rows = [replace(row, sha256=sha256_of(text)) if row.path == "drawn/no_tumor/2.png" else row
            for row in read_index(finished / INDEX)]  # fmt: skip
    write_index(rows, copied / INDEX)
    (copied / "drawn/glioma/0.png").write_bytes(b"changed")
    (copied / "drawn/tumor/1.png").unlink()
    lost = {"drawn/glioma/0.png", "drawn/no_tumor/2.png", "drawn/tumor/1.png"}
    assert read_index(index(recipe, copied, tmp_path / "run")) == [row for row in rows if row.path not in lost]
    assert (tmp_path / "run" / UNREADABLE).read_text().splitlines() == [
        "drawn/glioma/0.png: changed",
        "drawn/no_tumor/2.png: cannot identify image file 'it'",
        "drawn/tumor/1.png: missing",
    ]


def test_a_lost_file_moves_no_other_one_to_another_fold(
    finished: Path, copied: Path, recipe: Recipe, tmp_path: Path
) -> None:
    shutil.copyfile(finished / INDEX, copied / INDEX)
    dealt = recipe.model_copy(update={"data": recipe.data.model_copy(update={"split": "random"})})
    before = read_index(index(dealt, copied, tmp_path / "whole"))
    (copied / "drawn/glioma/0.png").unlink()
    after = read_index(index(dealt, copied, tmp_path / "fewer"))
    assert after == [row for row in before if row.path != "drawn/glioma/0.png"]


def test_a_copy_does_not_take_the_place_of_its_lost_original(
    finished: Path, copied: Path, recipe: Recipe, tmp_path: Path
) -> None:
    """Near-duplicates of the original, which stay, may lie in another fold than the copy."""
    shutil.copytree(copied / "drawn" / "glioma", copied / "copies" / "glioma")
    rows = [row for row in read_index(finished / INDEX) if not row.path.startswith("drawn/glioma/1")]
    copies = [replace(row, dataset="copies", path=row.path.replace("drawn", "copies"),
                      same_as=row.path if row in rows else "")
              for row in read_index(finished / INDEX) if row.label == "glioma"]  # fmt: skip
    write_index([*rows, *copies], copied / INDEX)
    (copied / "drawn/glioma/0.png").unlink()
    both = recipe.model_copy(update={"data": recipe.data.model_copy(update={"datasets": ("drawn", "copies")})})
    paths = {row.path for row in read_index(index(both, copied, tmp_path / "run"))}
    assert {path for path in paths if path.startswith("copies")} == {
        "copies/glioma/1.png",
        "copies/glioma/1-mirrored.png",
    }
    assert "drawn/glioma/0.png" not in paths


def test_a_published_index_of_which_nothing_is_left_is_refused(finished: Path, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no picture of drawn that is as .*index\.csv says"):
        index(recipe, tmp_path, tmp_path / "run", published=finished / INDEX)
    assert not (tmp_path / "run").exists()


def test_folds_that_lost_a_class_with_its_files_are_refused(
    finished: Path, copied: Path, recipe: Recipe, tmp_path: Path
) -> None:
    rows = read_index(finished / INDEX)
    for row in rows:
        if (row.fold, row.label) == (5, "glioma"):
            (copied / row.path).unlink()
    with pytest.raises(DataError, match=r"test folds 5 hold no glioma \(2 files left out, such as drawn/.*: missing\)"):
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


def test_a_file_that_the_disk_does_not_give_is_listed_and_left_out(
    copied: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path) -> str:
        if path.name == "0.png" and path.parent.name == "glioma":
            raise OSError(5, "Input/output error", str(path))
        return sha256_of(path)

    monkeypatch.setattr(folders, "sha256_of", read)
    assert len(read_index(index(recipe, copied, tmp_path / "run"))) == 49
    told = (tmp_path / "run" / UNREADABLE).read_text()
    assert told == "drawn/glioma/0.png: [Errno 5] Input/output error: 'it'\n"


def test_the_command_says_how_many_of_how_many_are_left_out(
    copied: Path, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied / "drawn/glioma/0.png").write_bytes(b"text")
    line.index(recipe, copied, tmp_path / "run")
    assert "\n  1 of 50 files left out, as missing, changed or unreadable: " in capsys.readouterr().out


@pytest.mark.parametrize("split", ["group", "random"])
@pytest.mark.parametrize("published", [False, True])
def test_the_command_says_what_the_split_gives_away(
    finished: Path,
    copied: Path,
    recipe: Recipe,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    split: str,
    published: bool,
) -> None:
    """A mirror image leaks where its original is trained on, also if each slice was dealt by itself."""
    if published:
        shutil.copyfile(finished / INDEX, copied / INDEX)
    chosen = recipe.model_copy(update={"data": recipe.data.model_copy(update={"split": split})})
    line.index(chosen, copied, tmp_path / "run")
    rows = read_index(tmp_path / "run" / INDEX)
    heads = {row.path.replace("-mirrored", "") for row in rows if row.fold in {1, 2, 3}}
    held_out = [row for row in rows if row.fold in {4, 5}]
    leaking = sum(row.path.replace("-mirrored", "") in heads for row in held_out)
    assert (leaking > 0) == (split == "random")
    said = capsys.readouterr().out
    assert f"\n  {leaking} of {len(held_out)} held-out slices copy a training slice or are of a group with one" in said
    assert "python -m training data-card" in said


def test_of_a_refit_what_leaks_is_counted_in_the_test_folds(
    copied: Path, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = recipe.model_copy(update={"data": recipe.data.model_copy(update={"refit": True})})
    line.index(chosen, copied, tmp_path / "run")
    held_out = [row for row in read_index(tmp_path / "run" / INDEX) if row.fold == 5]
    assert f"0 of {len(held_out)} held-out slices" in capsys.readouterr().out


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


@pytest.mark.parametrize("published", [False, True])
def test_the_index_under_a_trained_run_is_not_exchanged(
    finished: Path, copied: Path, recipe: Recipe, tmp_path: Path, *, published: bool
) -> None:
    """Not for fewer rows either: what was learnt from is what is gone on with and measured."""
    run = tmp_path / "run"
    if published:
        shutil.copyfile(finished / INDEX, copied / INDEX)
    index(recipe, copied, run)
    shutil.copyfile(finished / checkpoint.LAST, run / checkpoint.LAST)
    index(recipe, copied, run)
    before = (run / INDEX).read_bytes()
    (copied / "drawn/glioma/0.png").unlink()
    reason = (
        r"another index.* \(1 files left out, such as drawn/glioma/0.png: missing\)" if published else "another index"
    )
    with pytest.raises(DataError, match=reason):
        index(recipe, copied, run)
    assert (run / INDEX).read_bytes() == before
