"""Put a run's result into the model repository as a new version: whole, proven, and never over another one."""

import shutil
import tempfile
from pathlib import Path

import numpy as np

from service.contract.card import CARD_FILE, EXPLAIN_FILE, GOLDEN_FILE, MODEL_FILE, REPORT_FILE, read_card
from training.calibrate import read_temperature
from training.config import read_recipe
from training.confusion import CONFUSION
from training.data.index import sha256_of
from training.describe import describe
from training.errors import RegisterError, made_by
from training.explainable import explained_logits, explains_in
from training.export import read_graph
from training.golden import write_golden
from training.graph import Graph
from training.judge.page import PAGE
from training.judge.report import EXPLANATIONS, ExplanationReport, read_judgement
from training.modelcard import MODEL_CARD, render
from training.report import Report
from training.run import RECIPE, input_spec
from training.variants.gate import matching_variant
from training.variants.guard import QUANTIZATION
from training.variants.integers import precision_of
from training.variants.report import VARIANT
from training.whole import read_whole

GOLDEN_TOLERANCE = 1e-4
COPIED = {MODEL_FILE: "export", REPORT_FILE: "evaluate", CONFUSION: "evaluate"}
"""What a bundle takes over from its run as it is, and the step that makes it."""


def register(run: Path, models: Path, change: str, *, explain: bool = False) -> Path:
    """Write `models/<name>/<n+1>/` from the run, verify it, and return it; `change` says why the version exists.

    `explain` takes the explain graphs along, and what was found about their maps, the best of which becomes the
    default. Raises `OrderError` or `RegisterError` where a step was left out, or graphs, temperature and reports are
    not all of the run's best checkpoint, or a variant keeps not the bars set for it.
    The folder appears whole or not at all.
    """
    report = _matching_report(run)
    judged = _matching_judgement(run) if explain else None
    recipe = read_recipe(run / RECIPE)
    variant = matching_variant(recipe, run)
    home = models / recipe.name
    home.mkdir(parents=True, exist_ok=True)
    version = next_version(home)
    with tempfile.TemporaryDirectory(dir=home, prefix=".new-") as room:
        bundle = Path(room) / recipe.name / str(version)
        bundle.mkdir(parents=True)
        taken = COPIED | (_judged_files(run) if judged else {}) | (_variant_files(run) if variant else {})
        for name, step in taken.items():
            shutil.copyfile(made_by(step, run / name), bundle / name)
        write_golden(bundle / GOLDEN_FILE, Graph(bundle / MODEL_FILE), input_spec(recipe))
        card = describe(recipe, report, judged, variant=variant, run=run, bundle=bundle, version=version, change=change)
        (bundle / MODEL_CARD).write_text(render(card, report, judged, variant))
        card = card.model_copy(update={"files": sums(bundle)})
        (bundle / CARD_FILE).write_text(card.model_dump_json(indent=2) + "\n")
        verify(bundle)
        return _move(bundle, home / str(version))


def next_version(home: Path) -> int:
    """One more than the highest version there is."""
    taken = [int(folder.name) for folder in home.glob("*") if folder.name.isdecimal()]
    return max(taken, default=0) + 1


def verify(bundle: Path) -> None:
    """Raise `RegisterError` unless the card is sound, every sum holds and the graph gives the golden answers."""
    try:
        card = read_card(bundle)
    except ValueError as error:
        raise RegisterError(f"{bundle / CARD_FILE} makes no sense: {error}") from None
    if sums(bundle) != card.files:
        raise RegisterError(f"the files of {bundle} are not those its card lists")
    with np.load(bundle / GOLDEN_FILE) as golden:
        images, wanted = golden["images"], golden["logits"]
    answers = {MODEL_FILE: Graph(bundle / MODEL_FILE)(images, batch_size=len(images)).logits}
    for name in card.explain.layers.values() if card.explain else ():
        answers[name] = explained_logits(bundle / name, images)
    for name, answer in answers.items():
        difference = float(np.abs(answer - wanted).max() / np.abs(wanted).max())
        if not difference <= GOLDEN_TOLERANCE:
            raise RegisterError(f"the golden answers of {bundle / name} differ by {difference:.2e} of their scale")


def sums(bundle: Path) -> dict[str, str]:
    """SHA-256 of every file but the card."""
    return {path.name: sha256_of(path) for path in sorted(bundle.iterdir()) if path.name != CARD_FILE}


def _matching_judgement(run: Path) -> ExplanationReport:
    """What was found about the maps of the run's graphs of now: no map is offered that nobody held against outlines."""
    if precision_of(made_by("export", run / MODEL_FILE)) != "fp32":
        raise RegisterError(f"{run} answers in integers, which have no gradients: register it without --explain")
    made_by("export", run / EXPLAIN_FILE)
    judged = read_judgement(made_by("judge-explanations", run / EXPLANATIONS))
    if judged.files != {path.name: sha256_of(path) for path in (run / MODEL_FILE, *explains_in(run).values())}:
        raise RegisterError(f"{run / EXPLANATIONS} was found on other graphs: run judge-explanations again")
    return judged


def _judged_files(run: Path) -> dict[str, str]:
    graphs = {path.name: "export" for path in explains_in(run).values()}
    return graphs | dict.fromkeys((EXPLANATIONS, PAGE), "judge-explanations")


def _variant_files(run: Path) -> dict[str, str]:
    made = {VARIANT: "judge-variant", QUANTIZATION: "quantize"}
    return {name: step for name, step in made.items() if (run / name).exists()}


def _matching_report(run: Path) -> Report:
    graph, temperature = read_graph(run), read_temperature(run)
    report = read_whole(made_by("evaluate", run / REPORT_FILE), Report)
    if (report.measured.sha256, report.measured.temperature) != (sha256_of(graph), temperature):
        raise RegisterError(f"{run / REPORT_FILE} was measured on another graph or temperature: run evaluate again")
    return report


def _move(bundle: Path, target: Path) -> Path:
    """Rename, which the file system does whole; a version that appeared meanwhile is not touched."""
    try:
        bundle.rename(target)
    except OSError:
        raise RegisterError(f"{target} exists already: a version is never overwritten") from None
    return target
