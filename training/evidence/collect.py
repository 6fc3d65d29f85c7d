"""Copy of each run the small files that `training/RESULTS.md` is made from, and nothing else."""

import shutil
from pathlib import Path

from service.contract.card import REPORT_FILE
from training.beside import BESIDE
from training.crossvalidate import CROSSVALIDATION, FOLD
from training.errors import OrderError
from training.evidence.summary import SUMMARY, summarise
from training.external import EXTERNAL
from training.foldbaselines import BASELINES
from training.history import HISTORY
from training.mirror import MIRROR
from training.misclassified import PUBLIC_SHEET
from training.pruning_report import PRUNING
from training.robustness import ROBUSTNESS
from training.shortcut import SHORTCUT
from training.train import BALANCE
from training.tune import BEST_TRIAL, IMPORTANCE
from training.whole import write_whole

RESULTS_FOLDER = Path("training/results")
KEPT = (REPORT_FILE, CROSSVALIDATION, BASELINES, BEST_TRIAL, IMPORTANCE, HISTORY, BALANCE, SHORTCUT, ROBUSTNESS, MIRROR,
        BESIDE, PUBLIC_SHEET, f"prune/{PRUNING}", EXTERNAL.format("*"), "*-best.yaml")  # fmt: skip
"""Files of a run, by name; pictures only of what licences let others see."""
UNDER_WAY = frozenset({HISTORY, BALANCE})
"""Files that a training leaves before it is over."""


def collect(run: Path, target: Path = RESULTS_FOLDER, *, costs: bool = False) -> list[Path]:
    """Copy what there is into `<target>/<run's name>`, with a summary of the training; raises `OrderError` if nothing.

    That is also where there is nothing yet but the history of a training. Files that the run no
    longer has stay; a cross-validation is summed up by its first fold. With `costs` the summary alone is kept: a run
    too short for its figures to mean anything.
    """
    found = [path for pattern in KEPT for path in sorted(run.glob(pattern))]
    if not found:
        raise OrderError(f"{run} holds no results: run `python -m training experiment` first")
    if not costs and all(path.name in UNDER_WAY for path in found):
        raise OrderError(f"{run} was not measured, and its training may not be over: go on with it first")
    home = target / run.resolve().name
    home.mkdir(parents=True, exist_ok=True)
    kept = [] if costs else [Path(shutil.copyfile(path, home / path.name)) for path in found]
    trained = next((each for each in (run, run / f"{FOLD}1") if (each / HISTORY).exists()), None)
    if trained is None:
        return kept
    write_whole(home / SUMMARY, summarise(trained).model_dump_json(indent=2) + "\n")
    return [*kept, home / SUMMARY]
