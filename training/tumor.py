"""Tumour or not: what a triage queue asks first, whatever the type."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from service.contract.probabilities import NO_TUMOR
from training.data.index import Row
from training.intervals import Chosen, Interval, bounded, intervals
from training.report import Report
from training.scores import area_under_roc
from training.tables import number, table

THRESHOLD = 0.5
"""Tumour probability from which a slice is called a tumour."""
SENSITIVITY = 0.95
"""Least sensitivity where `specificity_at_95` is read off: a point of the ROC curve, no threshold that was chosen."""
SHOWN = {
    "auroc": "AUROC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "specificity_at_95": f"specificity at sensitivity {SENSITIVITY}",
}


def tumor_intervals(
    rows: Sequence[Row], tumor: npt.NDArray[np.float64], seed: int, resamples: int
) -> dict[str, Interval]:
    """Figures of tumour probabilities (N,) with their 95 % intervals; both kinds of slices must be there."""
    shows = shows_tumor(rows)

    def figures(chosen: Chosen) -> dict[str, float]:
        ill, given = shows[chosen], tumor[chosen]
        called = given >= THRESHOLD
        return {
            "sensitivity": float(called[ill].mean()),
            "specificity": float((~called[~ill]).mean()),
            "accuracy": float((called == ill).mean()),
            "auroc": area_under_roc(given, ill),
            "specificity_at_95": float((given[~ill] < least_called(given[ill])).mean()),
        }

    found = intervals(figures, rows, seed, resamples)
    ill, healthy = count_groups(rows)
    asked = {
        "sensitivity": ill,
        "specificity": healthy,
        "accuracy": ill + healthy,
        "auroc": min(ill, healthy),
        "specificity_at_95": healthy,
    }
    return {name: bounded(each, asked[name]) for name, each in found.items()}


def tumor_auroc(rows: Sequence[Row], tumor: npt.NDArray[np.float64], seed: int, resamples: int) -> Interval:
    """The AUROC of tumour probabilities (N,) alone."""
    shows = shows_tumor(rows)

    def figures(chosen: Chosen) -> dict[str, float]:
        return {"auroc": area_under_roc(tumor[chosen], shows[chosen])}

    return bounded(intervals(figures, rows, seed, resamples)["auroc"], min(count_groups(rows)))


def shows_tumor(rows: Sequence[Row]) -> npt.NDArray[np.bool_]:
    """Which slices (N,) show a tumour of any type."""
    return np.array([row.label != NO_TUMOR for row in rows])


def has_both(rows: Sequence[Row]) -> bool:
    """Whether there are slices with a tumour and slices without."""
    return len(set(shows_tumor(rows).tolist())) == 2


def tumor_table(report: Report) -> str:
    """One line a dataset, in Markdown; a dataset left out of training says so."""
    lines = (
        [
            of.dataset + (", left out" if of.left_out else ""),
            str(of.slices),
            *map(number, (of.figures[n] for n in SHOWN)),
        ]
        for of in report.tumor_or_not
    )
    return table(["source", "slices", *SHOWN.values()], lines)


def least_called(tumor: npt.NDArray[np.float64]) -> float:
    """The highest threshold that still calls a share of at least `SENSITIVITY` of these probabilities (N,)."""
    return float(np.sort(tumor)[int(len(tumor) * (1 - SENSITIVITY))])


def count_groups(rows: Sequence[Row]) -> tuple[int, int]:
    """Groups with a tumour, and groups without."""
    kinds = [{(row.dataset, row.group) for row in rows if (row.label != NO_TUMOR) == shows} for shows in (True, False)]
    return len(kinds[0]), len(kinds[1])
