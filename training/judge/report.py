"""What was found about a run's explanations: `explanations.json`."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from training.intervals import Interval
from training.whole import read_whole

EXPLANATIONS = "explanations.json"
MEASURES = ("pointing", "energy", "iou", "deletion", "insertion")
"""What the bar is about; of `deletion`, less is better."""
MOST_SANITY = 0.5
"""Highest rank correlation that a map may keep, on average, with the map of a wholly shuffled network."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MapFigures(_Strict):
    """One kind of map on the test tumours; `threshold` and `validation` were found on the validation folds.

    `sanity` is the rank correlation with the map of a network whose head, later half or every weight was shuffled;
    a prior has none.
    """

    threshold: float
    validation: float
    pointing: Interval
    energy: Interval
    iou: Interval
    oracle_iou: Interval
    deletion: Interval
    insertion: Interval
    sanity: dict[str, Interval]


class Shown(_Strict):
    """Some test tumours, how the default map for one class of theirs points."""

    slices: int
    pointing: Interval
    energy: Interval
    iou: Interval
    oracle_iou: Interval


class ExplanationReport(_Strict):
    """One judgement of one run's maps; `files` are the graphs it holds for, with their SHA-256.

    `tumors` counts the test tumours by source, `slices` on how many of them each kind of measure was taken;
    `differences` say how much better the default is than each prior.
    """

    files: dict[str, str]
    protocol: str
    folds: dict[str, tuple[int, ...]]
    tumors: dict[str, int]
    slices: dict[str, int]
    resamples: int
    seed: int
    method: str
    layer: str
    maps: dict[str, MapFigures]
    priors: dict[str, MapFigures]
    differences: dict[str, dict[str, Interval]]
    shown: dict[str, Shown]

    @property
    def default(self) -> str:
        """The map that was chosen, as `method/layer`."""
        return f"{self.method}/{self.layer}"

    @property
    def missed(self) -> tuple[str, ...]:
        """Where the default does not beat a prior: every measure whose paired interval reaches 0."""
        return tuple(
            f"{measure} against the {prior}"
            for prior, differences in self.differences.items()
            for measure, difference in differences.items()
            if not difference.low > 0
        )

    @property
    def sane(self) -> bool:
        """Whether the default's map goes when every weight is shuffled."""
        return self.maps[self.default].sanity["all"].high < MOST_SANITY

    def verdicts(self) -> tuple[str, ...]:
        """The bars, each in a sentence that says whether it holds."""
        prior = f"NOT MET ({', '.join(self.missed)})" if self.missed else "met"
        sanity = self.maps[self.default].sanity["all"]
        return (
            f"{self.default} beats both priors on {', '.join(MEASURES)} with its interval: {prior}",
            f"rank correlation with a wholly shuffled network {sanity.value:.3f} [{sanity.low:.3f}, {sanity.high:.3f}] "
            f"(bar < {MOST_SANITY}): {'met' if self.sane else 'NOT MET'}",
        )


def read_judgement(path: Path) -> ExplanationReport:
    """What `judge-explanations` wrote."""
    return read_whole(path, ExplanationReport)
