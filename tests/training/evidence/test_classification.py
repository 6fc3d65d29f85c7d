from training.evidence.classification import classification
from training.report import Report


def test_a_note_stands_once_with_the_reports_that_it_is_of(report: Report) -> None:
    said = {"run a": ("of all", "by group"), "run b": ("of all", "by group"), "run c": ("of all", "by slice"),
            "run d": ("of all", "by slice"), "run e": ("of all", "own")}  # fmt: skip
    notes, *reports = classification({name: report.model_copy(update={"notes": of}) for name, of in said.items()})
    assert notes.splitlines() == ["* of all", "* by group (run a; run b)", "* by slice (run c; run d)"]
    assert ["* own" in text for text in reports] == [False] * 4 + [True]
