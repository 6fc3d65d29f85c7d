"""What runs answer to slices of whole heads that none of them learnt."""

from service.contract.probabilities import NO_TUMOR
from training.evidence.kept import Kept
from training.evidence.published import NOT_YET, Study
from training.external import EXTERNAL, External
from training.heads import ASKED, ILL
from training.tables import number, table

HEAD = (
    "run",
    "slices of healthy heads called a tumour",
    "of ill ones, clear of theirs",
    "slices with a tumour found",
    "AUROC in ill heads",
)


def whole_heads(study: Study, kept: Kept) -> str:
    """A line a run: tumour or not, threshold 0.5, healthy heads apart from those with a tumour elsewhere."""
    return f"{study.words}\n\n{table(list(HEAD), (_line(run, kept) for run in study.runs))}"


def _line(run: str, kept: Kept) -> list[str]:
    every, ill = (kept.read(run, EXTERNAL.format(folder), External) for folder in (ASKED, ILL))
    if not every or not ill:
        return [run, NOT_YET, *[""] * (len(HEAD) - 2)]
    (called, clear), (called_ill, clear_ill) = _called(every), _called(ill)
    tumors = sum(ill.slices.values()) - clear_ill
    found = round(ill.figures["sensitivity"].value * tumors)
    return [
        run, f"{called - called_ill} of {clear - clear_ill}", f"{called_ill} of {clear_ill}", f"{found} of {tumors}",
        number(ill.figures["auroc"], 3),
    ]  # fmt: skip


def _called(asked: External) -> tuple[int, int]:
    """How many slices without a tumour are called one, and how many there are."""
    clear = asked.slices.get(NO_TUMOR, 0)
    return round((1 - asked.figures["specificity"].value) * clear), clear
