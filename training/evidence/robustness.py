"""How runs' answers hold when their slices are shown otherwise."""

from training.evidence.kept import Kept
from training.evidence.published import NOT_YET, Study
from training.measure import ALL
from training.robustness import ROBUSTNESS, Robustness
from training.tables import number, section, table
from training.tumor import SHOWN


def robustness(study: Study, kept: Kept) -> str:
    """Each run's figures, a line a perturbation."""
    return "\n\n".join((study.words, *(section(f"run {run}", _of(run, kept), 3) for run in study.runs)))


def _of(run: str, kept: Kept) -> str:
    found = kept.read(run, ROBUSTNESS, Robustness)
    if not found:
        return NOT_YET.capitalize() + "."
    asked = "test folds" if found.of == ALL else f"{found.of}, left out"
    lines = (
        [name, *(number(held.figures[of], 3) for of in SHOWN), f"{held.same_label:.3f}"]
        for name, held in found.shown.items()
    )
    return f"{found.slices} slices, {asked}:\n\n{table(['shown', *SHOWN.values(), 'same label'], lines)}"
