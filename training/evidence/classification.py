"""All reports: a bundle's open on the page, a run's folded away under its figures."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from training.report import Report
from training.tables import bullets, number, table
from training.tumor import tumor_table


def classification(reports: Mapping[str, Report]) -> Iterator[str]:
    """The reports by their name, bundles' first; what more than one must note is noted once, with their names."""
    holders: defaultdict[str, list[str]] = defaultdict(list)
    for name, report in reports.items():
        for note in report.notes:
            holders[note].append(name)
    shared = {note: names for note, names in holders.items() if len(names) > 1}
    if shared:
        yield bullets(_of(note, names if len(names) < len(reports) else []) for note, names in shared.items())
    for name, report in reports.items():
        own = [note for note in report.notes if note not in shared]
        text = "\n\n".join(part for part in _parts(report, own) if part)
        yield _folded(name, report, text) if name.startswith("run ") else f"### {name}\n\n{text}"


def _of(note: str, names: list[str]) -> str:
    return f"{note} ({'; '.join(names)})" if names else note


def _parts(report: Report, notes: list[str]) -> Iterator[str]:
    yield report.protocol
    yield bullets(notes)
    yield table(["figure", "value"], ([name, number(interval)] for name, interval in report.figures.items()))
    classes = ([name, *map(number, (of.precision, of.recall, of.f1)), str(of.support)]
               for name, of in report.per_class.items())  # fmt: skip
    yield table(["class", "precision", "recall", "F1", "slices"], classes)
    trivial = ([name.replace("_", " "), *map(number, (of.accuracy, of.macro_f1, of.auroc))]
               for name, of in report.baselines.items())  # fmt: skip
    yield table(["baseline", "accuracy", "macro F1", "AUROC"], trivial)
    if report.tumor_or_not:
        yield tumor_table(report)
    yield bullets(map(str, report.bars))


def _folded(name: str, report: Report, text: str) -> str:
    """Text under one line that opens it."""
    accuracy, f1 = (number(report.figures[figure], 3) for figure in ("accuracy", "macro_f1"))
    return f"<details><summary>{name}: accuracy {accuracy}, macro F1 {f1}</summary>\n\n{text}\n\n</details>"
