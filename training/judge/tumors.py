"""The outlined tumours of some folds: what every map is held against."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from service.contract.probabilities import NO_TUMOR
from training.config import Recipe
from training.data.index import Row
from training.data.outlines import load_masks
from training.data.slices import Slices
from training.errors import DataError
from training.graph import Floats, Graph
from training.run import input_spec, load_folds


@dataclass(frozen=True)
class Tumors:
    """Slices of N outlined tumours, what is inside their outlines (N, h, w), and the network's logits (N, classes)."""

    slices: Slices
    inside: npt.NDArray[np.bool_]
    logits: Floats

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The class (N,) that the network answers: the one that is explained."""
        return np.asarray(self.logits.argmax(axis=1))

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Where (N,) the class is known and answered."""
        return np.asarray(self.slices.known & (self.predicted == self.slices.targets))

    @property
    def misclassified(self) -> npt.NDArray[np.bool_]:
        """Where (N,) the class is known and another one is answered."""
        return np.asarray(self.slices.known & (self.predicted != self.slices.targets))

    @property
    def rows(self) -> list[Row]:
        """The tumours' rows of the index."""
        return list(self.slices.rows)

    def select(self, keep: npt.NDArray[np.bool_]) -> "Tumors":
        """Those where `keep` (N,) holds."""
        return Tumors(self.slices.select(keep), self.inside[keep], self.logits[keep])


def load_tumors(recipe: Recipe, data: Path, run: Path, folds: tuple[int, ...], graph: Graph) -> Tumors:
    """Every outlined tumour of the folds, answered by the graph; raises `DataError` where there is none."""
    slices = load_folds(recipe, data, run, folds)
    sick = slices.select(np.array([row.label != NO_TUMOR for row in slices.rows]))
    masks = load_masks(sick.rows, data, recipe.data.outlines, input_spec(recipe))
    inside = masks.pixels > 127
    shown = masks.known & inside.any(axis=(1, 2))
    if not shown.any():
        raise DataError(f"no outlined tumour in folds {folds}: name outline files in the recipe's data.outlines")
    found = sick.select(shown)
    return Tumors(found, inside[shown], graph(found.pixels, batch_size=8).logits)


def count(rows: Sequence[Row]) -> dict[str, int]:
    """Slices by dataset and label."""
    kinds = [f"{row.dataset} {row.label}" for row in rows]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}
