"""How the default map points where the class is answered rightly, where it is not, and where it is not known."""

from collections.abc import Iterator

from training.judge.choice import Choice
from training.judge.figures import Sample, means
from training.judge.measures import Agreement, agreement
from training.judge.report import Shown
from training.judge.subject import Subject
from training.judge.tumors import Tumors

RIGHT = "class answered rightly"
UNKNOWN = "type not known, map of the class answered"
ANSWERED = "misclassified, map of the class answered"
TRUE = "misclassified, map of the true class"


def shown_by_answer(
    subject: Subject, tumors: Tumors, choice: Choice, agreed: Agreement, resamples: int
) -> dict[str, Shown]:
    """The figures of each kind of answer there is; `agreed` is the default map's agreement, of the class answered."""
    threshold = choice.thresholds[choice.default]
    return {
        name: _shown(part, there, threshold, subject.recipe.seed, resamples)
        for name, part, there in _parts(subject, tumors, choice.default, agreed)
        if part.rows
    }


def _parts(
    subject: Subject, tumors: Tumors, default: str, agreed: Agreement
) -> Iterator[tuple[str, Tumors, Agreement]]:
    answers = {RIGHT: tumors.right, UNKNOWN: ~tumors.slices.known, ANSWERED: tumors.misclassified}
    yield from ((name, tumors.select(keep), agreed.select(keep)) for name, keep in answers.items())
    if tumors.misclassified.any():
        wrong = tumors.select(tumors.misclassified)
        cams = subject.cams(wrong, wrong.slices.targets)
        yield TRUE, wrong, agreement(subject.heatmaps(wrong, cams)[default], wrong.inside)


def _shown(part: Tumors, agreed: Agreement, threshold: int, seed: int, resamples: int) -> Shown:
    figures = means([Sample({RIGHT: agreed.columns(threshold)}, part.rows)], seed, resamples)[RIGHT]
    return Shown(slices=len(part.rows), **figures)
