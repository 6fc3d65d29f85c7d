from tests.training.evidence.conftest import Put, point
from training.crossvalidate import CROSSVALIDATION, CrossValidation, Spread
from training.evidence.folds import crossvalidations
from training.evidence.kept import Kept
from training.evidence.published import NOT_YET, Study
from training.foldbaselines import BASELINES, FoldBaselines
from training.intervals import Interval
from training.report import Baseline


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
    assert len(over.splitlines()) == 4
    assert [line.split(" | ")[:2] for line in classes.splitlines()[2:]] == [
        ["| some", "glioma"],
        ["| some", "pituitary"],
    ]
    assert "| some | glioma | 0.500 [0.250, 0.750] | 0.300 [0.250, 0.750] | 0.500 [0.250, 0.750] |" in classes


def test_what_trivial_answers_reach_stands_below_the_run(put: Put, shelf: Kept) -> None:
    reached = Baseline(accuracy=point(0.4), macro_f1=point(0.2), auroc=point(0.5))
    put("some", BASELINES, FoldBaselines(slices=9, baselines={"majority_class": reached}))
    over = crossvalidations(Study(title="Folds", runs=("some", "another")), shelf).split("\n\n")[1]
    assert [line.split(" | ")[0] for line in over.splitlines()[2:]] == [
        "| some", "| some: majority class", "| another",
    ]  # fmt: skip
    assert "| some: majority class | 9 |  |  |  |  | 0.400 [0.400, 0.400] | 0.200 [0.200, 0.200] |" in over
