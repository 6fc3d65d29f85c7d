"""A finished run's report, and a folder that keeps whatever reports a test makes of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from service.contract.card import REPORT_FILE
from training.evidence.kept import Kept
from training.evidence.published import Plan, Study
from training.intervals import Interval
from training.report import Report, Source, TumorOrNot
from training.tumor import SHOWN

STUDIES = tuple(name for name, field in Plan.model_fields.items() if field.annotation is Study)
"""Studies that a plan must have, by their keys."""
Put = Callable[[str, str, BaseModel], None]


@pytest.fixture
def report(finished: Path) -> Report:
    return Report.model_validate_json((finished / REPORT_FILE).read_bytes())


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Keep a run's file in `<tmp_path>/kept`."""

    def write(run: str, file: str, found: BaseModel) -> None:
        (tmp_path / "kept" / run).mkdir(parents=True, exist_ok=True)
        (tmp_path / "kept" / run / file).write_text(found.model_dump_json())

    return write


@pytest.fixture
def shelf(tmp_path: Path) -> Kept:
    """What `put` has kept."""
    return Kept([tmp_path / "kept"])


def point(value: float) -> Interval:
    return Interval(value=value, low=value, high=value)


def away(dataset: str, *, left_out: bool = True, **figures: float) -> TumorOrNot:
    """A source's figures, 0.5 where they are not named."""
    named = {name: point(figures.get(name, 0.5)) for name in (*SHOWN, "accuracy")}
    return TumorOrNot(dataset=dataset, left_out=left_out, slices=10, figures=named)


def source(label: str, question: str, slices: int, rate: float) -> Source:
    """A label's rate, by probability, in the dataset `away`."""
    return Source.model_validate({
        "dataset": "away", "label": label, "question": question, "slices": slices, "groups": 1,
        "by_label": point(0), "by_probability": point(rate), "mean_tumor_probability": point(0),
    })  # fmt: skip
