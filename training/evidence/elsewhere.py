"""What runs answer to slices of whole heads that none of them learnt."""

from service.contract.probabilities import NO_TUMOR
from training.evidence.kept import Kept
from training.evidence.published import NOT_YET, Study
from training.external import External
from training.heads import ASKED
from training.tables import number, table
from training.tumor import SHOWN

FILE = f"external-{ASKED}.json"
HEAD = ("run", "slices with a tumour", "slices without one", *SHOWN.values())


def elsewhere(study: Study, kept: Kept) -> str:
    """A line a run: tumour or not, threshold 0.5."""
    return f"{study.words}\n\n{table(list(HEAD), (_line(run, kept) for run in study.runs))}"


def _line(run: str, kept: Kept) -> list[str]:
    found = kept.read(run, FILE, External)
    if not found:
        return [run, NOT_YET, *[""] * (len(HEAD) - 2)]
    well = found.slices.get(NO_TUMOR, 0)
    return [run, str(sum(found.slices.values()) - well), str(well), *(number(found.figures[name], 3) for name in SHOWN)]
