"""What several runs show together: learning curves, costs, class balance, pruning, tuning."""

import os
from collections.abc import Iterator
from pathlib import Path

from training.evidence.figures import figure
from training.evidence.kept import Kept
from training.evidence.published import NOT_YET, Study
from training.evidence.summary import SUMMARY, Summary
from training.history import HISTORY, draw_curves, read_history
from training.pruning_report import PRUNING, draw_levels, in_words
from training.tables import table
from training.train import BALANCE
from training.tune import BEST_TRIAL, IMPORTANCE

BLANK = ""


def curves(study: Study, kept: Kept, picture: Path) -> str:
    """Learning curves of the runs that there are, drawn to `picture`; the page shows it."""
    found = [path.parent for run in study.runs if (path := kept.path(run, HISTORY))]
    if not found:
        return NOT_YET.capitalize() + "."
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw_curves(found, picture)
    return f"{study.words}\n\n![{study.title}]({picture.parent.name}/{picture.name})\n\n{_overfitting(study, kept)}"


def networks(study: Study, kept: Kept) -> str:
    """Parameters, memory and time of each run, the time also over that of the run `beside`."""
    head = ["run", "network", "start", "parameters, M", "slices", "side", "batch, part", "peak MB", "s an epoch",
            "ms a slice", f"over {study.beside}", "chosen epoch", "val accuracy", "test accuracy"]  # fmt: skip
    base = kept.read(study.beside, SUMMARY, Summary) if study.beside else None
    return f"{study.words}\n\n{table(head, (_cost(run, base, kept) for run in study.runs))}"


def balance(study: Study, kept: Kept) -> str:
    """Of each run and class: slices that there are, their share, and the share of an epoch that is drawn from them."""
    head = ["run", "class", "slices", "share before", "share after", "drawn an epoch"]
    return f"{study.words}\n\n{table(head, (line for run in study.runs for line in _classes(run, kept)))}"


def pruning(run: str, kept: Kept, picture: Path) -> str:
    """The levels of one pruning, as a table and a plot drawn to `picture`."""
    found = kept.raw(run, PRUNING)
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw_levels(found["levels"], found["dense_accuracy"], picture)
    words = in_words(found["levels"], found["dense_accuracy"])
    return f"{words}\n\n![Pruning of {run}]({picture.parent.name}/{picture.name})"


def tuning(run: str, kept: Kept, page: Path) -> str:
    """The best trial of a search, and which choice mattered."""
    found = kept.raw(run, BEST_TRIAL)
    named = set(found) - {"trial", "parameters", "trials", "importances"}
    best = ", ".join(f"{name} {found[name]:.4f}" for name in sorted(named))
    trials = ", ".join(f"{count} {state}" for state, count in found["trials"].items())
    shares = found.get("importances", {})
    lines = ([name, f"{value:.4g}", f"{shares[name]:.2f}" if name in shares else BLANK]
             for name, value in found["parameters"].items())  # fmt: skip
    plot = kept.path(run, IMPORTANCE)
    shown = f"\n\n![Importances]({os.path.relpath(plot, page.parent)})" if plot else ""
    return f"Best trial {found['trial']}: {best} ({trials}).\n\n{table(['choice', 'best', 'importance'], lines)}{shown}"


def _overfitting(study: Study, kept: Kept) -> str:
    """Where training and validation part, in numbers."""
    head = ["run", "epochs", "chosen", "val accuracy there", "train accuracy, last", "val accuracy, last",
            "val loss, least", "val loss, last"]  # fmt: skip
    return table(head, (_parting(run, kept) for run in study.runs))


def _parting(run: str, kept: Kept) -> list[str]:
    path, summary = kept.path(run, HISTORY), kept.read(run, SUMMARY, Summary)
    if not (path and summary):
        return [run, NOT_YET, *[""] * 6]
    lines = read_history(path.parent)
    last, least = lines[-1], min(line["val_loss"] for line in lines)
    figures = (summary.chosen["val_accuracy"], last["train_accuracy"], last["val_accuracy"], least, last["val_loss"])
    return [run, str(summary.epochs), str(summary.chosen_epoch), *(f"{each:.3f}" for each in figures)]


def _cost(run: str, base: Summary | None, kept: Kept) -> list[str]:
    found = kept.read(run, SUMMARY, Summary)
    if not found:
        return [run, NOT_YET, *[""] * 12]
    each = _ms(found)
    return [
        run,
        found.architecture,
        found.weights.split(" (sha256")[0],
        f"{found.parameters / 1e6:.2f}",
        f"{found.train_slices} + {found.val_slices}",
        str(found.size),
        f"{found.batch_size}, {found.micro_batch or found.batch_size}",
        f"{found.peak_mb:,.0f}" if found.peak_mb else BLANK,
        f"{found.seconds:.1f}",
        f"{each:.0f}",
        f"{each / _ms(base):.2f}" if base and base.seconds else BLANK,
        f"{found.chosen_epoch} of {found.epochs}",
        figure(kept, run, "epoch.val_accuracy") or BLANK,
        figure(kept, run, "test.accuracy") or BLANK,
    ]


def _ms(of: Summary) -> float:
    """Milliseconds a slice of an epoch, learnt or asked."""
    return 1000 * of.seconds / (of.train_slices + of.val_slices)


def _classes(run: str, kept: Kept) -> Iterator[list[str]]:
    classes, summary = kept.raw(run, BALANCE), kept.read(run, SUMMARY, Summary)
    if not classes:
        yield [run, NOT_YET, *[""] * 4]
    total = sum(of["slices"] for of in classes.values())
    for name, of in classes.items():
        drawn = f"{of['drawn'] * summary.train_slices:.0f}" if summary else BLANK
        yield [run, name, f"{of['slices']:.0f}", f"{of['slices'] / total:.1%}", f"{of['drawn']:.1%}", drawn]
