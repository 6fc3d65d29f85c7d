from training.data.index import NO_FOLD, Row
from training.unleaked import unleaked

NAMES = ("glioma", "no_tumor", "pituitary")
KINDS = {
    "whole": [False, True, False, False, False, False, False],
    "cut": [False, True, True, False, False, False, True],
}


def row(name: str, label: str, fold: int, dataset: str = "here") -> Row:
    return Row(dataset, name, label, name, fold, 8, 8, "0" * 64)


ROWS = [
    row("learnt", "glioma", 1), row("copied", "glioma", 5), row("cut", "glioma", 5), row("own", "no_tumor", 5),
    row("away", "glioma", NO_FOLD, "away"), row("unknown", "tumor", 5), row("clear", "no_tumor", NO_FOLD, "away"),
]  # fmt: skip


def answer(name: str, glioma: float) -> dict[str, str]:
    return {"path": name, "glioma": str(glioma), "no_tumor": str(1 - glioma), "pituitary": "0"}


def test_figures_stand_with_the_slices_that_leak_and_without_each_kind_of_them() -> None:
    answers = [
        answer("copied", 0.9), answer("cut", 0.3), answer("own", 0.4), answer("unknown", 0.8), answer("away", 0.7),
        answer("clear", 0.9),
    ]  # fmt: skip
    assert list(unleaked(ROWS, KINDS, answers, NAMES)) == [
        ["all test folds", "accuracy, known class", "0.6667 of 3", "0.5000 of 2", "1.0000 of 1"],
        ["all test folds", "tumour or not, AUROC", "0.6667 of 4", "0.5000 of 3", "1.0000 of 2"],
        ["away", "accuracy, known class", "0.5000 of 2", "0.5000 of 2", "1.0000 of 1"],
        ["away", "tumour or not, AUROC", "0.0000 of 2", "0.0000 of 2", "none"],
    ]


def test_what_cannot_be_asked_has_no_line() -> None:
    assert list(unleaked(ROWS, KINDS, [answer("unknown", 0.8)], NAMES)) == []
