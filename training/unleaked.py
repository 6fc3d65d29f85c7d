"""A run's figures on held-out slices, with those that resemble a training slice and without them."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from training import scores
from training.data.index import NO_FOLD, Row
from training.measure import ALL, Predictions
from training.paired import asks_both
from training.predictions import told
from training.tumor import shows_tumor


def unleaked(
    rows: Sequence[Row],
    resembling: Mapping[str, Sequence[bool]],
    answers: Sequence[dict[str, str]],
    names: Sequence[str],
) -> Iterator[list[str]]:
    """One line a split and figure: of all answers, lines of predictions.csv, then without each kind of `resembling`.

    That says of each row whether it resembles a training slice. Sources left out whole stand by name; a figure that
    cannot be asked of a split has no line.
    """
    of_path = {row.path: place for place, row in enumerate(rows)}
    places = [of_path[answer["path"]] for answer in answers]
    asked = Predictions.told([rows[place] for place in places], told(answers, names), names)
    clear = [~np.array(each)[places] for each in resembling.values()]
    splits = np.array([row.dataset if row.fold == NO_FOLD else ALL for row in asked.slices.rows])
    for split in sorted(set(splits.tolist())):
        here = splits == split
        known, every = here & asked.slices.known, asked.select(here)
        if known.any():
            yield [split, "accuracy, known class", *(_accuracy(asked.select(known & keep)) for keep in (known, *clear))]
        if asks_both(every.slices, names):
            yield [split, "tumour or not, AUROC", *(_area(asked.select(here & keep)) for keep in (here, *clear))]


def _accuracy(asked: Predictions) -> str:
    right = asked.answers == asked.slices.targets
    return f"{right.mean():.4f} of {len(right)}" if len(right) else "none"


def _area(asked: Predictions) -> str:
    if not asks_both(asked.slices, asked.class_names):
        return "none"
    shows = shows_tumor(asked.slices.rows)
    return f"{scores.area_under_roc(asked.tumor, shows):.4f} of {len(shows)}"
