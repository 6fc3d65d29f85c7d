from tests.training.evidence.conftest import Put
from training.crossvalidate import CROSSVALIDATION, CrossValidation, Spread
from training.evidence.folds import crossvalidations
from training.evidence.kept import Kept
from training.evidence.published import NOT_YET, Study
from training.intervals import Interval


def test_each_class_has_a_line_of_all_folds_pooled(put: Put, shelf: Kept) -> None:
    half, spread = Interval(value=0.5, low=0.25, high=0.75), Spread(mean=0.9, sd=0.01, folds=(0.89, 0.91))
    third = half.model_copy(update={"value": 0.3})
    pooled = {"accuracy": half, "macro_f1": half} | {
        f"{kind}/{name}": third if (kind, name) == ("recall", "glioma") else half
        for kind in ("precision", "recall", "f1") for name in ("glioma", "pituitary")
    }  # fmt: skip
    test = dict.fromkeys(("accuracy", "macro_f1", "auroc", "ece"), spread)
    found = CrossValidation(recipe="some", split_by="group", test=test, chosen_epoch={}, pooled=pooled, slices=4)
    put("some", CROSSVALIDATION, found)
    over, classes = crossvalidations(Study(title="Folds", runs=("some", "another")), shelf).split("\n\n")[1:]
    assert f"| another | {NOT_YET} |" in over
    assert [line.split(" | ")[:2] for line in classes.splitlines()[2:]] == [
        ["| some", "glioma"],
        ["| some", "pituitary"],
    ]
    assert "| some | glioma | 0.500 [0.250, 0.750] | 0.300 [0.250, 0.750] | 0.500 [0.250, 0.750] |" in classes
