"""How runs' answers hold when their slices are shown otherwise."""

from collections.abc import Iterator

from training.evidence.kept import Kept
from training.evidence.published import NOT_YET
from training.measure import ALL
from training.robustness import ROBUSTNESS, Robustness
from training.tables import number, table
from training.tumor import SHOWN

MEAN = "mean of all but the first"


def robustness(run: str, kept: Kept) -> str:
    """One run's figures, a line a perturbation, and their mean over those that change the slices."""
    found = kept.read(run, ROBUSTNESS, Robustness)
    if not found:
        return NOT_YET.capitalize() + "."
    asked = ALL if found.of == ALL else f"{found.of}, left out"
    return f"{found.slices} slices, {asked}:\n\n{table(['shown', *SHOWN.values(), 'same label'], _lines(found))}"


def _lines(found: Robustness) -> Iterator[list[str]]:
    for name, held in found.shown.items():
        yield [name, *(number(held.figures[of], 3) for of in SHOWN), f"{held.same_label:.3f}"]
    _, *changed = found.shown.values()
    means = [sum(held.figures[of].value for held in changed) / len(changed) for of in SHOWN]
    same = sum(held.same_label for held in changed) / len(changed)
    yield [MEAN, *(f"{mean:.3f}" for mean in (*means, same))]
