"""The commands that turn runs into evidence, from `backlog` and `beside` to `shortcut`."""

import signal
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from training.beside import BESIDE, measure_beside
from training.errors import OrderError, TrainingError
from training.evidence.backlog import LOG, work_off
from training.evidence.collect import RESULTS_FOLDER
from training.evidence.collect import collect as collect_step
from training.evidence.kept import Kept
from training.evidence.published import PUBLISHED, missing, read_plan
from training.intervals import RESAMPLES
from training.line import say
from training.measure import ALL
from training.mirror import MIRROR, measure_mirror
from training.misclassified import SHEET, draw_misclassified
from training.robustness import ROBUSTNESS, measure_robustness
from training.shortcut import SHORTCUT, measure_shortcut
from training.tables import number

Data = Annotated[Path, typer.Option(help="Folder with pictures as dataset/label/file.")]
Run = Annotated[Path, typer.Option(help="Folder of the run.")]
Resamples = Annotated[int, typer.Option(min=100, help="Bootstrap resamples for the intervals.")]
Out = Annotated[Path | None, typer.Option(help="Where the file goes; none: into the run.")]


def collect(
    runs: Annotated[list[Path], typer.Argument(help="Finished runs.", exists=True)],
    out: Annotated[Path, typer.Option(help="The folder that keeps a folder a run.")] = RESULTS_FOLDER,
    *,
    costs: Annotated[bool, typer.Option("--costs", help="Keep time, memory and size alone.")] = False,
) -> None:
    """Copy the small files that the results are made from: training/results/<run>/."""
    names = [run.resolve().name for run in runs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise OrderError(f"two runs are named {', '.join(sorted(twice))}: their files would be mixed")
    for run in runs:
        kept = collect_step(run, out, costs=costs)
        say(f"collect → {out / run.resolve().name}: {', '.join(path.name for path in kept)}")


def backlog(
    folders: Annotated[
        list[Path], typer.Argument(help="Where reports lie, such as models training/results.", exists=True)
    ],
    data: Data,
    runs: Annotated[Path, typer.Option(help="The folder that gets a folder a run.")] = Path("runs"),
    out: Annotated[Path, typer.Option(help="The folder that keeps each run's results.")] = RESULTS_FOLDER,
    published: Annotated[Path, typer.Option(help="The plan that names the runs.")] = PUBLISHED,
    *,
    only: Annotated[list[str] | None, typer.Option(help="A run's name; may be repeated.")] = None,
    at_once: Annotated[int, typer.Option(min=1, help="Runs beside each other; a GPU has room for many.")] = 1,
    seconds: Annotated[float | None, typer.Option(min=1, help="When to stop, to go on another time.")] = None,
) -> None:
    """Make the runs that training/RESULTS.md still misses and collect what they bring; `results` shows it."""
    wanted = [run for run in missing(read_plan(published), Kept(folders)) if not only or run.run in only]
    if unknown := set(only or ()) - {run.run for run in wanted}:
        raise OrderError(f"nothing misses {', '.join(sorted(unknown))}")
    states = []
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that its runs end with it
    try:
        with closing(work_off(wanted, data, runs, out, at_once=at_once, seconds=seconds)) as made:
            for ended in made:
                say(f"backlog: {ended.run} {ended.state}, {runs / ended.run}{LOG}")
                states.append(ended.state)
    finally:
        signal.signal(signal.SIGTERM, before)
    if "failed" in states:
        raise TrainingError(f"{states.count('failed')} of {len(states)} runs failed; their logs say why")


def beside(
    data: Data,
    run: Run,
    of: Annotated[Path, typer.Option(help="The run that it is held against.", exists=True)],
    out: Out = None,
    resamples: Resamples = RESAMPLES,
) -> None:
    """Measure what a run has over another one of the same split: <run>/beside.json."""
    found = measure_beside(data, run, of, out or run, resamples)
    say(f"beside → {(out or run) / BESIDE}")
    for part, figures in found.figures.items():
        for name, each in figures.items():
            say(f"  {part:10} {name:21} {each.base:.4f} → {each.variant:.4f}  {number(each.difference)}", markup=False)


def mirror(data: Data, run: Run, out: Out = None, resamples: Resamples = RESAMPLES) -> None:
    """Measure what answering a slice and its mirror image brings: <run>/mirror.json."""
    found = measure_mirror(data, run, out or run, resamples)
    say(f"mirror → {(out or run) / MIRROR}")
    for source, figures in found.figures.items():
        for name, of in figures.items():
            say(f"  {source:16} {name:22} {of.base:.4f} → {of.variant:.4f}  {number(of.difference)}", markup=False)


def misclassified(data: Data, run: Run, out: Out = None) -> None:
    """Show what a measured run or cross-validation answered wrongly: <run>/misclassified.png."""
    wrong = draw_misclassified(data, run, out)
    say(f"misclassified → {(out or run) / SHEET}: {len(wrong)} slices")


def shortcut(data: Data, run: Run, out: Out = None, resamples: Resamples = RESAMPLES) -> None:
    """Measure how far the label is told without seeing a tumour: <run>/shortcut.json."""
    found = measure_shortcut(data, run, out or run, resamples)
    say(f"shortcut → {(out or run) / SHORTCUT}")
    for shown, sources in (found.network | found.baselines).items():
        everything = next(of for of in sources if of.dataset == ALL)
        told = {"accuracy": everything.accuracy, "tumour or not, AUROC": everything.auroc}
        say(f"  {shown:22} " + "  ".join(f"{name} {of.value:.3f}" for name, of in told.items() if of))


def robustness(data: Data, run: Run, out: Out = None, resamples: Resamples = RESAMPLES) -> None:
    """Measure how answers hold when the same slices are turned, framed, too bright or noisy: <run>/robustness.json."""
    found = measure_robustness(data, run, out or run, resamples)
    say(f"robustness → {(out or run) / ROBUSTNESS}: {found.slices} slices")
    for name, held in found.shown.items():
        told = "  ".join(f"{of} {held.figures[of].value:.3f}" for of in ("auroc", "sensitivity", "specificity"))
        say(f"  {name:24} {told}  same label {held.same_label:.3f}")
