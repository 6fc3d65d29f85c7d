"""`python -m training <step>`: one straight line of steps, each of which reads files and writes files.

    index → train → calibrate → export → evaluate → (judge-explanations →) register

A step runs and repeats alone. `evaluate` comes after `calibrate` and `export` so that it measures what will serve:
the exported graph in ONNX Runtime, with its temperature.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from service.contract.card import CARD_FILE
from training import line
from training.config import read_recipe
from training.errors import TrainingError
from training.evidence.command import backlog, beside, collect, mirror, misclassified, robustness, shortcut
from training.gradient.command import explainable
from training.heads import heads
from training.intervals import RESAMPLES
from training.judge.command import judge_explanations
from training.laboratory import Changes, crossvalidate, curves, experiment, fold_baselines, prune, tune
from training.malloc import keep_freed_memory
from training.results import results
from training.variants.command import judge_variant, quantize, resize
from training.weights import weights

RecipeFile = Annotated[Path, typer.Argument(help="The recipe, such as training/recipes/lite0.yaml.")]
Data = Annotated[Path, typer.Option(help="Folder with pictures as dataset/label/file.")]
Run = Annotated[Path, typer.Option(help="Folder of the run: what a step makes, the next one finds there.")]
Published = Annotated[
    Path | None, typer.Option(help="Index to take groups and folds from; <data>/index.csv if there is one.")
]
Models = Annotated[Path, typer.Option(help="The model repository.")]
Resamples = Annotated[int, typer.Option(min=1000, help="Bootstrap resamples for the intervals.")]
Change = Annotated[str, typer.Option(help="One sentence: why this version exists.")]

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def index(recipe: RecipeFile, data: Data, run: Run, published: Published = None, changes: Changes = None) -> None:
    """List the recipe's pictures with their groups and folds: <run>/index.csv."""
    line.index(read_recipe(recipe, changes or ()), data, run, published)


@app.command("data-card")
def data_card(recipe: RecipeFile, data: Data, run: Run, changes: Changes = None) -> None:
    """Describe the run's pictures: counts, sizes, what leaks between its splits, a contact sheet: <run>/data.md."""
    line.datacard(read_recipe(recipe, changes or ()), data, run)


@app.command()
def train(recipe: RecipeFile, data: Data, run: Run, changes: Changes = None) -> None:
    """Train, or go on where an interruption left off: <run>/best.pt. Runs under `accelerate launch` too."""
    line.train(read_recipe(recipe, changes or ()), data, run)


@app.command()
def calibrate(data: Data, run: Run) -> None:
    """Fit the temperature on the validation folds: <run>/calibration.json."""
    line.calibrate(data, run)


@app.command()
def export(data: Data, run: Run) -> None:
    """Write the network as ONNX, compared with torch: <run>/model.onnx."""
    line.export(data, run)


@app.command()
def evaluate(
    run: Run,
    data: Annotated[Path | None, typer.Option(help="Folder with the recipe's pictures, for its test folds.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Pictures from elsewhere: a folder of yes/ and no/, or of classes.")
    ] = None,
    *,
    out: Annotated[Path | None, typer.Option(help="Where the report on a folder goes; none: into the run.")] = None,
    remark: Annotated[
        list[str] | None, typer.Option(help="What a reader of the figures must know; may be repeated.")
    ] = None,
    resamples: Resamples = RESAMPLES,
) -> None:
    """Measure on the test folds (<run>/report.json), or on a folder from elsewhere (external-*.json)."""
    if (data is None) == (folder is None):
        raise typer.BadParameter("give either --data or --folder")
    if folder and remark:
        raise typer.BadParameter("--remark belongs to the report on the test folds: give it with --data")
    if folder and not out and (run / CARD_FILE).exists():
        raise typer.BadParameter(f"{run} is a registered version, which nothing is added to: say with --out where to")
    if data:
        line.evaluate(data, run, resamples, remark or ())
    elif folder:
        line.evaluate_folder(run, folder, out or run, resamples)


@app.command()
def register(
    run: Run,
    change: Change,
    models: Models = Path("models"),
    *,
    explain: Annotated[
        bool, typer.Option(help="Offer /explain, with maps that judge-explanations was asked about.")
    ] = False,
) -> None:
    """Put the run's result into the model repository as its next version."""
    line.register(run, change, models, explain=explain)


@app.command("line")
def whole_line(
    recipe: RecipeFile,
    data: Data,
    run: Run,
    *,
    published: Published = None,
    models: Models = Path("models"),
    change: Annotated[str | None, typer.Option(help="Why this version exists; the first one may do without.")] = None,
    changes: Changes = None,
) -> None:
    """All steps in a row."""
    line.whole(read_recipe(recipe, changes or ()), data, run, published=published, models=models, change=change)


for command in (experiment, crossvalidate, fold_baselines, curves, prune, tune, explainable, judge_explanations, mirror,
                misclassified, shortcut, robustness, backlog, beside, collect, results, quantize, resize,
                judge_variant, weights, heads):  # fmt: skip
    app.command()(command)


def main() -> None:
    """Run the step asked for; what a user can get wrong ends in one sentence and exit code 1."""
    keep_freed_memory()
    try:
        app()
    except (TrainingError, OSError) as error:
        Console(stderr=True, soft_wrap=True).print(str(error), style="red", markup=False, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
