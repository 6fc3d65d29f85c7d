"""A trained network on pictures from elsewhere: any folder of `yes/` and `no/`, or of classes."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from service.contract.card import CARD_FILE, MODEL_FILE, InputSpec, read_card
from service.contract.probabilities import NO_TUMOR, probabilities, tumor_probability
from training.calibrate import read_temperature
from training.config import read_recipe
from training.data.folders import Found, rows_of_folders
from training.data.index import Row, read_index, sha256_of
from training.data.slices import read_slices
from training.dataconfig import UNKNOWN_TUMOR
from training.errors import DataError, RecipeError, made_by
from training.export import read_graph
from training.graph import Graph
from training.index import INDEX
from training.intervals import RESAMPLES, Interval
from training.measure import count
from training.report import Thresholds
from training.roc import draw_roc
from training.run import RECIPE, input_spec
from training.thresholds import thresholds
from training.tumor import THRESHOLD, has_both, tumor_intervals
from training.whole import read_whole, write_whole

EXTERNAL = "external-{}.json"
"""The report's name, by the folder's."""
SEED = 0
TYPES = ("glioma", "meningioma", "pituitary")
"""Tumours that any network may be asked about, whether it tells them apart or not."""


class External(BaseModel):
    """What was answered to a folder's slices; intervals are of a bootstrap over groups of near-duplicates.

    `learnt` counts those whose very file lies in the run's training or validation folds; a bundle cannot say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    pictures_sha256: str | None = None
    learnt: int | None = None
    graph_sha256: str
    slices: dict[str, int]
    groups: dict[str, int]
    unreadable: int
    threshold: float
    figures: dict[str, Interval]
    thresholds: Thresholds | None = None
    class_names: tuple[str, ...]
    confusion: dict[str, tuple[int, ...]]


class Asked(NamedTuple):
    """A graph, all that gives its answers a meaning, and the files it learnt from where they are known."""

    graph: Path
    class_names: tuple[str, ...]
    spec: InputSpec
    temperature: float
    learnt: frozenset[str] | None = None


def evaluate_folder(run: Path, folder: Path, target: Path, resamples: int = RESAMPLES) -> External:
    """Write `<target>/external-<folder>.json` and `.png` (ROC) for what `run`, a run or a bundle, answers to `folder`.

    Raises `DataError` where the folder holds no tumour or no slice without one, or folders whose names are no label,
    or `target` has the report on another folder of its name; `RecipeError` for a network that only tells tumours apart.
    """
    asked = read_asked(run)
    if NO_TUMOR not in asked.class_names:
        raise RecipeError(f"{run} only tells tumours apart, and cannot be asked whether there is one")
    target.mkdir(parents=True, exist_ok=True)
    found = rows_of_folders(folder.resolve().parent, [folder.resolve().name])
    _refuse_strange(found.rows, asked, folder)
    if not has_both(found.rows):
        raise DataError(f"{folder} must hold slices with a tumour and slices without one")
    path = target / EXTERNAL.format(folder.resolve().name)
    _refuse_other(path, found)
    pixels = read_slices(found.rows, folder.resolve().parent, asked.spec)
    probs = probabilities(Graph(asked.graph)(pixels).logits, asked.temperature)
    report = _report(found, asked, folder.resolve().name, probs, resamples)
    write_whole(path, report.model_dump_json(indent=2) + "\n")
    tumor = tumor_probability(probs, asked.class_names)
    draw_roc(found.rows, tumor, report.figures, report.folder, path.with_suffix(".png"))
    return report


def read_asked(run: Path) -> Asked:
    """The network of a registered bundle, or of a run that was exported."""
    if (run / CARD_FILE).exists():
        card = read_card(run.resolve())
        return Asked(run / MODEL_FILE, card.class_names, card.input, card.temperature)
    recipe = read_recipe(made_by("train", run / RECIPE))
    rows, folds = read_index(run / INDEX), (*recipe.data.train_folds, *recipe.data.val_folds)
    learnt = frozenset(row.sha256 for row in rows if row.dataset in recipe.data.datasets and row.fold in folds)
    return Asked(read_graph(run), recipe.class_names, input_spec(recipe), read_temperature(run), learnt)


def _refuse_strange(rows: Sequence[Row], asked: Asked, folder: Path) -> None:
    """Whatever is not `no` would count as a tumour: Br35H comes with a folder `pred` of both."""
    labels = {NO_TUMOR, UNKNOWN_TUMOR, *TYPES, *asked.class_names}
    strange = {Path(row.path).parent.name for row in rows if row.label not in labels}
    if strange:
        raise DataError(f"{folder} holds {', '.join(sorted(strange))}, which is neither yes, no nor a class: remove it")


def _refuse_other(path: Path, found: Found) -> None:
    if path.exists() and read_whole(path, External).pictures_sha256 not in {None, _digest(found)}:
        raise DataError(f"{path} is the report on another folder of this name: remove it, or choose another --out")


def _digest(found: Found) -> str:
    """Of the pictures, wherever they lie."""
    return sha256("\n".join(sorted(row.sha256 for row in found.rows)).encode()).hexdigest()


def _report(found: Found, asked: Asked, name: str, probs: npt.NDArray[np.float64], resamples: int) -> External:
    slices, groups = count(found.rows)
    answers, tumor = probs.argmax(axis=1), tumor_probability(probs, asked.class_names)
    return External(
        folder=name,
        pictures_sha256=_digest(found),
        learnt=None if asked.learnt is None else sum(row.sha256 in asked.learnt for row in found.rows),
        graph_sha256=sha256_of(asked.graph),
        slices=slices,
        groups=groups,
        unreadable=len(found.unreadable),
        threshold=THRESHOLD,
        figures=tumor_intervals(found.rows, tumor, SEED, resamples),
        thresholds=thresholds(found.rows, tumor, SEED, resamples),
        class_names=asked.class_names,
        confusion={
            label: tuple(np.bincount(answers[_of(found.rows, label)], minlength=len(asked.class_names)).tolist())
            for label in slices
        },
    )


def _of(rows: Sequence[Row], label: str) -> list[int]:
    return [i for i, row in enumerate(rows) if row.label == label]
