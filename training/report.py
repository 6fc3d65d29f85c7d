"""What was measured, on what and how: `report.json`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from training.intervals import Interval

Matrix = tuple[tuple[int, ...], ...]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Measured(_Strict):
    """What answered: the file, its digest, and the library that ran it."""

    file: str
    sha256: str
    engine: Literal["ONNX Runtime CPU", "torch CPU"]
    temperature: float


class ClassFigures(_Strict):
    """One class against the rest."""

    precision: Interval
    recall: Interval
    f1: Interval
    support: int


class Baseline(_Strict):
    """A trivial answer, fitted on the training folds, that has no idea of tumours."""

    accuracy: Interval
    macro_f1: Interval
    auroc: Interval


class Source(_Strict):
    """One dataset's slices of one label, asked only whether they show a tumour."""

    dataset: str
    label: str
    question: Literal["sensitivity", "specificity"]
    slices: int
    groups: int
    by_label: Interval
    by_probability: Interval
    mean_tumor_probability: Interval


class AtThreshold(_Strict):
    """Tumour or not where a slice is called a tumour from this tumour probability on."""

    threshold: float
    sensitivity: Interval
    specificity: Interval


class OwnThreshold(_Strict):
    """The highest threshold that finds a share `aim` of the tumours in one half of the groups, on the other half.

    `groups` is how many it is chosen on; values are means over random halvings, intervals their middle 95 %.
    """

    aim: float
    groups: int
    threshold: Interval
    sensitivity: Interval
    specificity: Interval


class Thresholds(_Strict):
    """What may be had by another threshold than the one that all share."""

    points: tuple[AtThreshold, ...]
    own: OwnThreshold | None = None


class TumorOrNot(_Strict):
    """One dataset's slices, asked whether they show a tumour; `left_out` says that no fold of training held any."""

    dataset: str
    left_out: bool
    slices: int
    figures: dict[str, Interval]
    thresholds: Thresholds | None = None


class MaskFigures(_Strict):
    """Mean Dice and IoU over the test slices that show an outlined tumour; the checkpoint draws the masks, in torch."""

    slices: int
    dice: Interval
    iou: Interval


class Bar(_Strict):
    """A limit set before measuring."""

    figure: str
    at_least: float | None = None
    at_most: float | None = None
    value: float

    @property
    def met(self) -> bool:
        """Whether the value keeps the limit."""
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    def __str__(self) -> str:
        limit = f"≥ {self.at_least}" if self.at_least is not None else f"≤ {self.at_most}"
        return f"{self.figure} {self.value:.4f} (bar {limit}): {'met' if self.met else 'NOT MET'}"


class Report(_Strict):
    """One measurement of one network on the test folds."""

    measured: Measured
    protocol: str
    notes: tuple[str, ...]
    folds: dict[str, tuple[int, ...]]
    counts: dict[str, dict[str, int]]
    groups: dict[str, dict[str, int]]
    resamples: int
    seed: int
    class_names: tuple[str, ...]
    figures: dict[str, Interval]
    per_class: dict[str, ClassFigures]
    confusion: Matrix
    baselines: dict[str, Baseline]
    sources: tuple[Source, ...]
    tumor_or_not: tuple[TumorOrNot, ...] = ()
    bars: tuple[Bar, ...]
    masks: MaskFigures | None = None
