"""In words: how a run was split and measured, and what its figures do not say."""

from training.data.provenance import provenance
from training.dataconfig import DataConfig


def protocol(data: DataConfig) -> str:
    """One paragraph: which folds did what, and what an interval is."""
    return (
        f"One split of {' + '.join(data.datasets)}: {_folds(data.learnt_folds)} trained, {_choice(data)}, "
        f"{_folds(data.test_folds)} tested; nothing of this run was fitted to the last. Split by {data.split_by}. "
        f"{_left_out(data)}Figures are of slices for which "
        "one class is right; a tumour of unknown type, where several are, counts by source only. "
        f"Intervals are 95 % percentile intervals of a bootstrap over {_drawn(data)}, within labels; they "
        "hold the trained network and the folds fixed."
    )


def notes(data: DataConfig) -> tuple[str, ...]:
    """What a reader of the figures must know beside them."""
    return (
        *(f"{dataset}: {provenance(dataset).fault_of(data.split)}" for dataset in data.datasets),
        "A rate that is 0 or 1 on every slice has a bootstrap interval of no width, which is not certainty: the exact "
        "binomial bound over its groups stands there instead (Clopper & Pearson 1934).",
        "An AUROC of 1 stands with the bound of the kind of slice that has the fewest groups.",
        "ECE is biased upwards on few slices, and more so in resamples: its value may lie at the low end of its "
        "interval or below it.",
    )


def _choice(data: DataConfig) -> str:
    if data.refit:
        return "none chose an epoch, the last one is kept"
    return f"{_folds(data.val_folds)} chose the epoch and the temperature"


def _drawn(data: DataConfig) -> str:
    """What the bootstrap draws: where slices were dealt one by one, each is its own group."""
    return "slices" if data.split == "random" else "groups of near-duplicates"


def _left_out(data: DataConfig) -> str:
    if not data.leave_out:
        return ""
    return f"{' + '.join(data.leave_out)} was left out whole: it counts by source only, as what the network never saw. "


def _folds(folds: tuple[int, ...]) -> str:
    word = "fold" if len(folds) == 1 else "folds"
    return f"{word} {', '.join(map(str, folds))}"
