from collections import Counter

import pytest

from training.config import Recipe
from training.data.arrange import arrange
from training.data.index import NO_FOLD, Row, refuse_split_groups
from training.dataconfig import DataConfig
from training.errors import DataError


def row(dataset: str, label: str, number: int, **changes: object) -> Row:
    fields = {"group": f"{dataset}-{label}-{number // 2}", "fold": NO_FOLD, "width": 8, "height": 8, "sha256": "0" * 64}
    return Row(**{"dataset": dataset, "path": f"{dataset}/{label}/{number}.png", "label": label} | fields | changes)  # type: ignore[arg-type]  # a test's shorthand


PUBLISHED = [row("first", "glioma", i, fold=1 + i // 2 % 5) for i in range(20)]
UNDEALT = [
    row("second", label, i, official_split="Testing" if i % 4 == 3 else "Training")
    for label in ("glioma", "no_tumor")
    for i in range(40)
]
COPIES = [row("second", "glioma", 100 + i, same_as=f"first/glioma/{i}.png") for i in range(3)]
ROWS = [*PUBLISHED, *UNDEALT, *COPIES]


@pytest.fixture
def config(recipe: Recipe) -> DataConfig:
    return recipe.data.model_copy(update={"datasets": ("first", "second")})


def test_copies_of_pictures_that_are_there_are_dropped(config: DataConfig) -> None:
    assert [row.path for row in arrange(ROWS, config, seed=1)] == [row.path for row in [*PUBLISHED, *UNDEALT]]
    assert arrange(COPIES, config, seed=1) != []


def test_a_copy_may_stay_and_the_original_goes_with_its_near_duplicates(config: DataConfig) -> None:
    paths = {row.path for row in arrange(ROWS, config.model_copy(update={"keep": "copy"}), seed=1)}
    gone = {f"first/glioma/{i}.png" for i in range(4)}  # 2 is copied, 3 lies in its group
    assert paths == {row.path for row in ROWS} - gone


def test_published_folds_stay_and_the_rest_is_dealt_by_group(config: DataConfig) -> None:
    rows = arrange(ROWS, config, seed=1)
    assert rows[:20] == PUBLISHED
    refuse_split_groups(rows)
    assert Counter(row.fold for row in rows[20:]) == dict.fromkeys(range(1, 6), 16)


def test_published_folds_that_no_split_could_name_are_refused(config: DataConfig) -> None:
    """Slices of the fourth and fifth would be neither learnt nor measured, nor a cross-validation's."""
    for strange in ([4, 5], [-1]):
        rows = [row("first", "glioma", 2 * i, fold=fold) for i, fold in enumerate((1, 2, 3, *strange))]
        with pytest.raises(DataError, match=f"published folds {', '.join(map(str, strange))} are none of 1 to 3"):
            arrange(rows, config.model_copy(update={"folds": 3}), seed=1)


def test_dealing_anew_by_group_forgets_published_folds(config: DataConfig) -> None:
    rows = arrange(ROWS, config.model_copy(update={"split": "group", "folds": 10}), seed=1)
    refuse_split_groups(rows)
    assert {row.fold for row in rows} == set(range(1, 11))


def test_dealing_by_slice_parts_near_duplicates_and_says_so(config: DataConfig) -> None:
    rows = arrange(UNDEALT, config.model_copy(update={"split": "random"}), seed=1)
    folds = {row.path: row.fold for row in rows}
    assert any(folds[f"second/glioma/{i}.png"] != folds[f"second/glioma/{i + 1}.png"] for i in range(0, 40, 2))
    assert len({row.group for row in rows}) == len(rows)


def test_the_publishers_test_slices_are_the_last_fold(config: DataConfig) -> None:
    rows = arrange(UNDEALT, config.model_copy(update={"split": "official"}), seed=1)
    refuse_split_groups(rows)
    assert all((row.fold == 5) == (row.official_split == "Testing") for row in rows)
    assert {row.fold for row in rows} == {1, 2, 3, 4, 5}
    assert [row.path for row in rows] == [row.path for row in UNDEALT]


def test_a_source_left_out_lies_in_no_fold(config: DataConfig) -> None:
    rows = arrange(ROWS, config.model_copy(update={"leave_out": ("second",)}), seed=1)
    assert {row.fold for row in rows if row.dataset == "second"} == {NO_FOLD}
    assert NO_FOLD not in {row.fold for row in rows if row.dataset == "first"}


def test_labels_are_read_as_others(config: DataConfig) -> None:
    rows = arrange(UNDEALT, config.model_copy(update={"relabel": {"glioma": "tumor"}}), seed=1)
    assert {row.label for row in rows} == {"tumor", "no_tumor"}
