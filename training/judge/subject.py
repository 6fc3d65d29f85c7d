"""The run that is judged: its graphs, and what they say of the tumours of some folds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.contract.card import EXPLAIN_FILE
from training.calibrate import read_temperature
from training.config import Recipe, read_recipe
from training.data.index import sha256_of
from training.errors import made_by
from training.explainable import explains_in
from training.export import read_graph
from training.graph import Graph
from training.judge.maps import Cams, Heatmaps, Targets, cams_of, heatmaps_of, priors_of
from training.judge.tumors import Tumors, load_tumors
from training.run import RECIPE


@dataclass(frozen=True)
class Subject:
    """A run's recipe and temperature, its model and the explain graph of each layer."""

    recipe: Recipe
    data: Path
    run: Path
    model: Path
    temperature: float
    explains: Mapping[str, Path]

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 of every graph that the judgement holds for."""
        return {path.name: sha256_of(path) for path in (self.model, *self.explains.values())}

    def tumors(self, folds: tuple[int, ...]) -> Tumors:
        """The outlined tumours of the folds."""
        return load_tumors(self.recipe, self.data, self.run, folds, Graph(self.model))

    def cams(self, tumors: Tumors, targets: Targets | None = None) -> dict[str, Cams]:
        """Each kind of map of each tumour, for the class answered or for the targets (N,)."""
        return cams_of(self.explains, tumors.slices.pixels, tumors.predicted if targets is None else targets)

    def heatmaps(self, tumors: Tumors, cams: Mapping[str, Cams]) -> Heatmaps:
        """The maps over the network's input, and the priors beside them."""
        return {**heatmaps_of(cams, self.recipe.size), **priors_of(tumors.slices.pixels)}


def read_subject(data: Path, run: Path) -> Subject:
    """The run's files; raises `OrderError` where a step is missing or its file is of another checkpoint."""
    recipe = read_recipe(made_by("train", run / RECIPE))
    model, temperature = read_graph(run), read_temperature(run)
    made_by("export", run / EXPLAIN_FILE)
    return Subject(recipe, data, run, model, temperature, explains_in(run))
