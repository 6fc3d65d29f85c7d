"""The steps in their order, and what each tells whoever started it."""

from pathlib import Path

from rich.console import Console

from service.contract.card import REPORT_FILE
from training import calibrate as calibrate_step
from training import evaluate as evaluate_step
from training import export as export_step
from training import index as index_step
from training import register as register_step
from training import train as train_step
from training.config import read_recipe
from training.errors import RegisterError
from training.intervals import RESAMPLES
from training.judge.report import EXPLANATIONS, read_judgement
from training.report import Report

say = Console(soft_wrap=True, highlight=False).print


def index(recipe: Path, data: Path, run: Path, published: Path | None) -> None:
    """List the pictures, and say where the list is."""
    say(f"index → {index_step.index(read_recipe(recipe), data, run, published)}")


def train(recipe: Path, data: Path, run: Path) -> None:
    """Train, and say where the best epoch is."""
    say(f"train → {train_step.train(read_recipe(recipe), data, run)}")


def calibrate(data: Path, run: Path) -> None:
    """Fit the temperature, and say what it changed."""
    found = calibrate_step.calibrate(data, run)
    say(f"calibrate → {run / calibrate_step.CALIBRATION}: temperature {found.temperature:.4f}")
    say(f"  validation NLL {found.nll_before:.4f} → {found.nll_after:.4f}")
    say(f"  validation ECE {found.ece_before:.4f} → {found.ece_after:.4f}")


def export(data: Path, run: Path) -> None:
    """Export, and say where the graph is."""
    path = export_step.export(data, run)
    say(f"export → {path}: {path.stat().st_size / 1e6:.1f} MB, as torch answers")


def evaluate(data: Path, run: Path, resamples: int = RESAMPLES) -> None:
    """Measure, and say the figures and whether the bars are met."""
    report = evaluate_step.evaluate(data, run, resamples)
    say(f"evaluate → {run / REPORT_FILE} ({report.measured.engine})")
    _say_figures(report)


def register(run: Path, change: str, models: Path, *, explain: bool = False) -> None:
    """Register, and say under which version."""
    bundle = register_step.register(run, models, change, explain=explain)
    say(f"register → {bundle}")
    for verdict in read_judgement(bundle / EXPLANATIONS).verdicts() if explain else ():
        say(f"  {verdict}", markup=False)


def whole(recipe: Path, data: Path, run: Path, *, published: Path | None, models: Path, change: str | None) -> None:
    """All steps in a row; a missing reason for a further version is refused before anything is computed."""
    reason = change or _first_version(recipe, models)
    index(recipe, data, run, published)
    train(recipe, data, run)
    calibrate(data, run)
    export(data, run)
    evaluate(data, run)
    register(run, reason, models)


def _first_version(recipe: Path, models: Path) -> str:
    chosen = read_recipe(recipe)
    if register_step.next_version(models / chosen.name) > 1:
        raise RegisterError(f"{models / chosen.name} has a version already: say with --change why another one exists")
    return f"First version: {chosen.architecture} trained on {' and '.join(chosen.data.datasets)}."


def _say_figures(report: Report) -> None:
    for name, interval in report.figures.items():
        say(f"  {name:20} {interval.value:.4f}  [{interval.low:.4f}, {interval.high:.4f}]", markup=False)
    for source in report.sources:
        rate = source.by_label
        say(f"  {source.dataset}/{source.label}: {source.question} {rate.value:.4f}  [{rate.low:.4f}, {rate.high:.4f}]",
            markup=False)  # fmt: skip
    for bar in report.bars:
        say(f"  {bar}")
