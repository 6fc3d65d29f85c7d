from training.data.index import Row
from training.data.leaks import Leak, leaks


def row(label: str, fold: int) -> Row:
    return Row("drawn", f"{label}.png", label, "g", fold, 8, 8, "0" * 64)


def test_held_out_slices_with_a_near_duplicate_in_training_are_counted_by_label() -> None:
    rows = [row("glioma", 1), row("glioma", 5), row("glioma", 5), row("no_tumor", 5), row("no_tumor", 4)]
    found = leaks(rows, [0, 0, 1, 2, 2], train_folds=[1], folds=[5])
    assert found == {"glioma": Leak(2, 1), "no_tumor": Leak(1, 0)}
