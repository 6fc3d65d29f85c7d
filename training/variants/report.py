"""What a variant costs and brings beside the version it comes from: `variant.json`."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from training.intervals import Interval
from training.pruning_report import Ratio
from training.report import Bar
from training.tables import bullets, number, table
from training.whole import read_whole

VARIANT = "variant.json"
MOST_LOST = 0.01
"""Macro-F1 that a variant must lose less than."""
MOST_ECE = 0.03
"""ECE up to which a variant may be worse calibrated than its base."""
LEAST_SPEED = 1.15
"""Times as many slices a second as the base, below which another model is not worth its keep."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Difference(_Strict):
    """One figure of both, and variant minus base with the interval of a paired bootstrap over groups."""

    base: float
    variant: float
    difference: Interval


class VariantReport(_Strict):
    """One comparison on the test folds' slices of known class; `time` is the variant's over the base's.

    `agreement` is the share of slices that both give the same label, `furthest` the largest difference in probability.
    """

    base: str
    base_sha256: str
    sha256: str
    temperature: float
    slices: int
    figures: dict[str, Difference]
    agreement: Interval
    furthest: float
    time: Ratio
    bars: tuple[Bar, ...]

    @property
    def missed(self) -> tuple[Bar, ...]:
        """The bars not met."""
        return tuple(bar for bar in self.bars if not bar.met)


def bars(figures: dict[str, Difference], time: Ratio) -> tuple[Bar, ...]:
    """The limits a variant must keep to be offered, as they stand for these figures."""
    ece = figures["ece"]
    return (
        Bar(figure="macro_f1_lost", at_most=MOST_LOST, value=-figures["macro_f1"].difference.value),
        Bar(figure="ece", at_most=max(MOST_ECE, ece.base), value=ece.variant),
        Bar(figure="speed", at_least=LEAST_SPEED, value=1 / time.median),
    )


def beside(found: VariantReport) -> str:
    """A table and the bars, for the model card."""
    lines = (
        [name.replace("_", " "), f"{of.base:.4f}", f"{of.variant:.4f}", number(of.difference)]
        for name, of in found.figures.items()
    )
    return "\n\n".join(
        (
            f"On the same {found.slices} test slices as {found.base}; differences with 95 % intervals of a paired "
            "bootstrap over groups. No step that made it reads these slices; whether a candidate before it had been "
            "measured on them, the notes of its report say:",
            table(["figure", "base", "this", "difference"], lines),
            f"Both give the same label to {number(found.agreement)} of the slices; the furthest that a probability "
            f"moves is {found.furthest:.3f}. One slice on one thread of a CPU takes {found.time.median:.2f} of the "
            f"base's time (half of the rounds in [{found.time.low:.2f}, {found.time.high:.2f}]), on the machine that "
            "made it; another CPU has another ratio.",
            bullets(map(str, found.bars)),
        )
    )


def limits(found: VariantReport | None, *, explained: bool) -> tuple[str, ...]:
    """What a variant cannot do as its base does, for the card; nothing for a version that is no variant."""
    if found is None:
        return ()
    lost = found.figures["macro_f1"].difference
    said = (
        f"It is a variant of {found.base}, made to be faster: it gives {1 - found.agreement.value:.3f} of "
        f"{found.slices} test slices another label, and its macro-F1 is {lost.value:+.4f} [{lost.low:+.4f}, "
        f"{lost.high:+.4f}] beside it. How much faster depends on the CPU: "
        "benchmarks/variants.py measures it."
    )
    return (said,) if explained else (said, f"It offers no maps: ask {found.base} where the evidence lies.")


def read_variant(path: Path) -> VariantReport:
    """What was found."""
    return read_whole(path, VariantReport)
