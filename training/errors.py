"""Everything a user of the training line can get wrong; each message is one sentence that says what to do.

TrainingError
├── RecipeError     the recipe cannot be read, contradicts itself, or is not the one the run began with
├── DataError       pictures or their index are missing, changed, or carry an unknown label
├── OrderError      a step was asked for before the one whose file it reads
├── DivergedError   the network's answers are no numbers any more
├── ParityError     the exported graph does not answer as the network does
├── RegisterError   the run may not become a version of a model
└── GradientError   the graph cannot be explained
    ├── NoRule        an operator on the gradient's way, or the form it takes there, has no rule
    └── UnknownLayer  the graph has no layer of this name
"""

from pathlib import Path


class TrainingError(Exception):
    """The root: shown as one sentence, never as a traceback."""


class RecipeError(TrainingError):
    """The recipe cannot be read, contradicts itself, or is not the one the run began with."""


class DataError(TrainingError):
    """Pictures or their index are missing, changed, or carry an unknown label."""


class OrderError(TrainingError):
    """A step was asked for before the one whose file it reads."""


class DivergedError(TrainingError):
    """The network's answers are no numbers any more."""

    def __init__(self) -> None:
        super().__init__("the training has diverged: begin anew with a lower optimizer.learning_rate")


class ParityError(TrainingError):
    """The exported graph does not answer as the network does."""


class RegisterError(TrainingError):
    """The run may not become a version of a model."""


class GradientError(TrainingError):
    """The graph cannot be explained."""


class NoRule(GradientError):
    """An operator on the gradient's way, or the form it takes there, has no rule."""


class UnknownLayer(GradientError):
    """The graph has no layer of this name."""


def made_by(step: str, path: Path) -> Path:
    """`path` itself where it exists; raises `OrderError` naming the step that makes it."""
    if not path.exists():
        raise OrderError(f"{path} does not exist yet: run `python -m training {step}` first")
    return path
