from training.data.index import Row
from training.data.leaks import Leak, alike, leaks


def row(label: str, fold: int) -> Row:
    return Row("drawn", f"{label}.png", label, "g", fold, 8, 8, "0" * 64)


def test_held_out_slices_with_a_near_duplicate_in_training_are_counted_by_label() -> None:
    rows = [row("glioma", 1), row("glioma", 5), row("glioma", 5), row("no_tumor", 5), row("no_tumor", 4)]
    found = leaks(rows, [0, 0, 1, 2, 2], train_folds=[1], folds=[5])
    assert found == {"glioma": Leak(2, 1), "no_tumor": Leak(1, 0)}


def named(dataset: str, name: str, group: str, *, same_as: str = "") -> Row:
    return Row(dataset, f"{dataset}/{name}", "glioma", group, 1, 8, 8, f"sha of {name}", same_as=same_as)


def test_pictures_are_alike_by_group_by_copy_and_by_file_and_so_are_chains() -> None:
    rows = [
        named("a", "1", "g"), named("a", "2", "g"), named("b", "3", "g"), named("b", "4", "h", same_as="a/2"),
        named("b", "5", "h"), named("c", "3", "i"), named("c", "6", "j", same_as="d/7"),
        named("c", "8", "k", same_as="d/7"),
    ]  # fmt: skip
    found = alike(rows)
    parts = ({"a/1", "a/2", "b/4", "b/5"}, {"b/3", "c/3"}, {"c/6", "c/8"})
    assert [{path for path in found if found[path] == number} for number in range(3)] == list(parts)
