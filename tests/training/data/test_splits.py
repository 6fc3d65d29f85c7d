from collections import Counter

from training.data.index import Row, refuse_split_groups
from training.data.splits import assign_folds


def row(label: str, group: str, number: int) -> Row:
    return Row("drawn", f"{label}/{group}-{number}.png", label, group, 0, 8, 8, "0" * 64)


ROWS = [row("no_tumor", f"n{g}", i) for g in range(30) for i in range(1 + g % 7)]
ROWS += [row("glioma", f"g{g}", 0) for g in range(50)]


def test_a_group_never_spans_two_folds() -> None:
    refuse_split_groups(assign_folds(ROWS, folds=5, seed=1))


def test_labels_are_spread_evenly() -> None:
    dealt = assign_folds(ROWS, folds=5, seed=1)
    for label in ("no_tumor", "glioma"):
        counts = Counter(row.fold for row in dealt if row.label == label)
        assert set(counts) == {1, 2, 3, 4, 5}
        assert max(counts.values()) - min(counts.values()) <= 1


def test_nothing_but_the_fold_changes_and_the_order_is_kept() -> None:
    assert [row.path for row in assign_folds(ROWS, folds=5, seed=1)] == [row.path for row in ROWS]


def test_the_same_seed_deals_the_same() -> None:
    assert assign_folds(ROWS, 5, seed=1) == assign_folds(ROWS, 5, seed=1)
    assert assign_folds(ROWS, 5, seed=1) != assign_folds(ROWS, 5, seed=2)


def test_a_group_of_two_labels_stays_whole() -> None:
    mixed = [*ROWS, row("glioma", "n3", 99)]
    refuse_split_groups(assign_folds(mixed, folds=5, seed=1))
