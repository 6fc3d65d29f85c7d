from service.contract.card import REPORT_FILE
from tests.training.evidence.conftest import Put, away, source
from training.evidence.binary import binary, counts
from training.evidence.kept import Kept
from training.evidence.published import NOT_YET, Study
from training.measure import ALL
from training.report import Report


def of_two(report: Report) -> Report:
    """Three of five tumours found, and one of seven others taken for one; of a source left out the most."""
    sources = (source("no_tumor", "specificity", 1500, 0.912), source("glioma", "sensitivity", 3, 1 / 3),
               source("tumor", "sensitivity", 193, 160 / 193))  # fmt: skip
    found = (away("away"), away("drawn", left_out=False), away(ALL, left_out=False))
    return report.model_copy(update={
        "class_names": ("no_tumor", "tumor"), "confusion": ((6, 1), (2, 3)), "sources": sources, "tumor_or_not": found
    })  # fmt: skip


def test_the_confusion_matrix_stands_with_its_threshold(report: Report, put: Put, shelf: Kept) -> None:
    put("some", REPORT_FILE, of_two(report))
    text = binary(Study(title="Two", runs=("some", "another")), shelf)
    assert "| some | all test folds | 0.5 | 3 | 2 | 6 | 1 | 0.500 [" in text
    assert "| some | away, left out | 0.5 | 161 | 35 | 1368 | 132 | 0.500 [" in text
    assert "| some | drawn |" not in text
    assert f"| another | {NOT_YET} |" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1


def test_classes_may_stand_in_either_order(report: Report) -> None:
    turned = of_two(report).model_copy(update={"class_names": ("tumor", "no_tumor"), "confusion": ((3, 2), (1, 6))})
    assert counts(turned, None) == counts(of_two(report), None) == (3, 2, 6, 1)
