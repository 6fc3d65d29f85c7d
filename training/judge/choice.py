"""What the validation folds decide, so that nothing is chosen on the test folds."""

from collections.abc import Mapping
from typing import NamedTuple

from training.judge.measures import THRESHOLDS, Agreement


class Choice(NamedTuple):
    """Each map's threshold, as a place in `THRESHOLDS`, its score, and the default, as `method/layer`."""

    thresholds: Mapping[str, int]
    scores: Mapping[str, float]
    default: str

    def threshold(self, name: str) -> float:
        """The share of the maximum that was chosen for this kind of map."""
        return float(THRESHOLDS[self.thresholds[name]])


def choose(agreed: Mapping[str, Agreement], priors: tuple[str, ...]) -> Choice:
    """The threshold of the best mean IoU for each kind of map; of those that are no priors the best overall."""
    thresholds = {name: each.best_threshold for name, each in agreed.items()}
    scores = {name: each.overall(thresholds[name]) for name, each in agreed.items()}
    default = max((name for name in agreed if name not in priors), key=scores.__getitem__)
    return Choice(thresholds, scores, default)
