"""The steps in their order, and what each tells whoever started it."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from service.contract.card import REPORT_FILE
from training import calibrate as calibrate_step
from training import evaluate as evaluate_step
from training import export as export_step
from training import external as external_step
from training import index as index_step
from training import register as register_step
from training import train as train_step
from training.config import Recipe
from training.datacard import write_datacard
from training.errors import RegisterError
from training.intervals import RESAMPLES, Interval
from training.judge.report import EXPLANATIONS, read_judgement
from training.progress import teller
from training.report import Report, Thresholds
from training.thresholds import threshold_lines

say = Console(soft_wrap=True, highlight=False).print
watcher = teller(partial(say, markup=False))


def index(recipe: Recipe, data: Path, run: Path, published: Path | None = None) -> None:
    """List the pictures, and say where the list is, how many are left out and what the split gives away."""
    found = index_step.find(recipe, data, published)
    say(f"index → {index_step.write(found, run)}")
    if lost := len(found.unreadable):
        whole = lost + len(found.rows)
        say(f"  {lost} of {whole} files left out, as missing, changed or unreadable: {run / index_step.UNREADABLE}")
    leak = found.leak(recipe)
    say(f"  {leak.leaking} of {leak.slices} held-out slices copy a training slice or are of a group with one; "
        "`python -m training data-card` also looks for near-duplicates")  # fmt: skip


def datacard(recipe: Recipe, data: Path, run: Path) -> None:
    """Describe the run's pictures, and say where."""
    say(f"data-card → {write_datacard(recipe, data, run)}")


def train(recipe: Recipe, data: Path, run: Path) -> None:
    """Train, saying how far it is after each epoch, and where the best one is."""
    say(f"train → {train_step.train(recipe, data, run, watcher(recipe, run))}")


def calibrate(data: Path, run: Path) -> None:
    """Fit the temperature, and say what it changed."""
    found = calibrate_step.calibrate(data, run)
    whose = (
        f", that of {found.temperature_of}" if found.temperature_of else "" if found.slices else ", fitted to nothing"
    )
    say(f"calibrate → {run / calibrate_step.CALIBRATION}: temperature {found.temperature:.4f}{whose}")
    if found.slices:
        say(f"  validation NLL {found.nll_before:.4f} → {found.nll_after:.4f}")
        say(f"  validation ECE {found.ece_before:.4f} → {found.ece_after:.4f}")


def export(data: Path, run: Path) -> None:
    """Export, and say where the graph is."""
    path = export_step.export(data, run)
    say(f"export → {path}: {path.stat().st_size / 1e6:.1f} MB, as torch answers")


def evaluate(data: Path, run: Path, resamples: int = RESAMPLES, remarks: Sequence[str] = ()) -> None:
    """Measure, and say the figures and whether the bars are met."""
    report = evaluate_step.evaluate(data, run, resamples, remarks)
    say(f"evaluate → {run / REPORT_FILE} ({report.measured.engine})")
    _say_figures(report)


def evaluate_folder(run: Path, folder: Path, target: Path, resamples: int = RESAMPLES) -> None:
    """Measure on pictures from elsewhere, and say the figures."""
    report = external_step.evaluate_folder(run, folder, target, resamples)
    say(f"evaluate → {target / external_step.EXTERNAL.format(report.folder)}: {sum(report.slices.values())} slices")
    if report.learnt:
        say(f"  {report.learnt} of them are files that the run learnt from: these figures are too high")
    if report.unreadable:
        say(f"  {report.unreadable} files cannot be read and are left out")
    _say_intervals(report.figures)
    if report.thresholds:
        _say_thresholds(report.folder, report.thresholds)


def register(run: Path, change: str, models: Path, *, explain: bool = False) -> None:
    """Register, and say under which version."""
    bundle = register_step.register(run, models, change, explain=explain)
    say(f"register → {bundle}")
    for verdict in read_judgement(bundle / EXPLANATIONS).verdicts() if explain else ():
        say(f"  {verdict}", markup=False)


def whole(recipe: Recipe, data: Path, run: Path, *, published: Path | None, models: Path, change: str | None) -> None:
    """All steps in a row; a missing reason for a further version is refused before anything is computed."""
    reason = change or _first_version(recipe, models)
    index(recipe, data, run, published)
    train(recipe, data, run)
    calibrate(data, run)
    export(data, run)
    evaluate(data, run)
    register(run, reason, models)


def _first_version(recipe: Recipe, models: Path) -> str:
    if register_step.next_version(models / recipe.name) > 1:
        raise RegisterError(f"{models / recipe.name} has a version already: say with --change why another one exists")
    return f"First version: {recipe.architecture} trained on {' and '.join(recipe.data.datasets)}."


def _say_figures(report: Report) -> None:
    _say_intervals(report.figures)
    if report.masks:
        _say_intervals({"mask_dice": report.masks.dice, "mask_iou": report.masks.iou})
    for source in report.sources:
        rate = source.by_label
        say(f"  {source.dataset}/{source.label}: {source.question} {rate.value:.4f}  [{rate.low:.4f}, {rate.high:.4f}]",
            markup=False)  # fmt: skip
    for of in report.tumor_or_not:
        if of.left_out and of.thresholds:
            _say_thresholds(of.dataset, of.thresholds)
    for bar in report.bars:
        say(f"  {bar}")


def _say_intervals(figures: Mapping[str, Interval]) -> None:
    for name, interval in figures.items():
        say(f"  {name:20} {interval.value:.4f}  [{interval.low:.4f}, {interval.high:.4f}]", markup=False)


def _say_thresholds(of: str, found: Thresholds) -> None:
    say(f"  {of}, tumour or not, from a tumour probability on:")
    for threshold, sensitivity, specificity in threshold_lines(found):
        say(f"    {threshold:>4}  sensitivity {sensitivity}  specificity {specificity}", markup=False)
