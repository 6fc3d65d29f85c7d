"""What a run's pictures are: counts, sizes, modes, what leaks between its splits, and a sheet to look at."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageOps
from rich.progress import track

from service.contract.preprocess import to_grey
from training.config import Recipe
from training.data.groups import Thumbnail, cut_thumbnail, near_duplicates, thumbnail
from training.data.index import NO_FOLD, Row, read_index
from training.data.leaks import leaks, resembling
from training.data.provenance import provenance
from training.dataconfig import DataConfig
from training.errors import made_by
from training.index import INDEX, UNREADABLE
from training.predictions import PREDICTIONS, read_predictions
from training.tables import bullets, section, table
from training.unleaked import unleaked

CARD = "data.md"
SHEET = "contact.png"
TILE, COLUMNS = 112, 10


class Seen(NamedTuple):
    """One picture as it lies on the disk, and as a network is shown it."""

    mode: str
    small: Thumbnail
    cut: Thumbnail


def write_datacard(recipe: Recipe, data: Path, run: Path) -> Path:
    """Write `<run>/data.md` and `<run>/contact.png` for the run's index, and return the first."""
    rows = read_index(made_by("index", run / INDEX), recipe.data.datasets)
    with ThreadPoolExecutor() as pool:
        seen = list(track(pool.map(lambda row: _see(data / row.path), rows), "look at pictures", total=len(rows)))
    alike = {
        "by the whole pictures": near_duplicates(np.stack([of.small for of in seen])),
        "without dark borders": near_duplicates(np.stack([of.cut for of in seen])),
    }
    unreadable = made_by("index", run / UNREADABLE).read_text().splitlines()
    sections = (
        f"# Pictures of {recipe.name}",
        section("Sources", bullets(_source(name, recipe.data.split) for name in recipe.data.datasets)),
        section("Counts", table(["source", "label", "slices", "groups", "folds"], _counts(rows))),
        section("Sizes and modes", table(["source", "label", "width by height", "modes"], _shapes(rows, seen))),
        section(
            "What leaks",
            "Held-out slices that have a near-duplicate (flips and turns included) among the training slices; by the "
            "whole pictures, and by what a network is shown of them, without dark borders:\n\n"
            + table(["split", "label", "slices", *alike], _leaking(rows, alike, recipe.data)),
        ),
        *_answered(rows, alike, recipe, run),
        section("Unreadable", bullets(unreadable) or "Nothing."),
        f"![Contact sheet]({SHEET})",
    )
    draw_sheet(rows, data, run / SHEET)
    (run / CARD).write_text("\n\n".join(sections) + "\n")
    return run / CARD


def draw_sheet(rows: Sequence[Row], data: Path, path: Path) -> None:
    """One line of pictures a source and label, spread evenly over its groups."""
    kinds = _kinds(rows)
    sheet = Image.new("L", (TILE * COLUMNS, (TILE + 14) * len(kinds)), 0)
    pen = ImageDraw.Draw(sheet)
    for line, ((dataset, label), members) in enumerate(kinds.items()):
        top = line * (TILE + 14)
        pen.text((3, top + 1), f"{dataset} / {label}: {len(members)}", fill=255)
        firsts = list({row.group: row for row in members}.values())
        for column, chosen in enumerate(np.linspace(0, len(firsts) - 1, min(COLUMNS, len(firsts))).astype(int)):
            with Image.open(data / firsts[chosen].path) as image:
                sheet.paste(ImageOps.contain(to_grey(image), (TILE - 2, TILE - 2)), (column * TILE, top + 14))
    sheet.save(path)


def _see(path: Path) -> Seen:
    with Image.open(path) as image:
        return Seen(image.mode, thumbnail(image), cut_thumbnail(image))


def _leaking(rows: Sequence[Row], alike: Mapping[str, Sequence[int]], data: DataConfig) -> Iterator[list[str]]:
    held_out = {"test": data.test_folds} if data.refit else {"val": data.val_folds, "test": data.test_folds}
    held_out |= {"left out": (NO_FOLD,)} if data.leave_out else {}
    for split, folds in held_out.items():
        whole, cut = (leaks(rows, groups, data.learnt_folds, folds) for groups in alike.values())
        for label, found in whole.items():
            counts = (f"{of.leaking} ({of.leaking / of.slices:.1%})" for of in (found, cut[label]))
            yield [split, label, str(found.slices), *counts]


def _answered(rows: Sequence[Row], alike: Mapping[str, Sequence[int]], recipe: Recipe, run: Path) -> Iterator[str]:
    """Nothing of a run that was not measured yet."""
    if (run / PREDICTIONS).exists():
        resembles = {kind: resembling(rows, groups, recipe.data.learnt_folds) for kind, groups in alike.items()}
        words = f"Answers of `{PREDICTIONS}`, of all held-out slices and of those that do not leak, as told above:"
        head = ["slices of", "figure", "all", *(f"not leaking, {kind}" for kind in alike)]
        answered = unleaked(rows, resembles, read_predictions(run), recipe.class_names)
        yield section("What the leaks are worth", f"{words}\n\n{table(head, answered)}")


def _source(dataset: str, split: str) -> str:
    known = provenance(dataset)
    return f"**{dataset}**: {known.origin}; {known.licence}. {known.fault_of(split)}"


def _kinds(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    kinds: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row.dataset, row.label)):
        kinds.setdefault((row.dataset, row.label), []).append(row)
    return kinds


def _counts(rows: Sequence[Row]) -> Iterable[list[str]]:
    for kind, members in _kinds(rows).items():
        folds = Counter(row.fold for row in members)
        spread = ", ".join(f"{fold}: {count}" for fold, count in sorted(folds.items()))
        yield [*kind, str(len(members)), str(len({row.group for row in members})), spread]


def _shapes(rows: Sequence[Row], seen: Sequence[Seen]) -> Iterable[list[str]]:
    modes = {row.path: each.mode for row, each in zip(rows, seen, strict=True)}
    for kind, members in _kinds(rows).items():
        sizes = np.array([(row.width, row.height) for row in members])
        low, middle, high = (f"{w:.0f} by {h:.0f}" for w, h in np.quantile(sizes, (0, 0.5, 1), axis=0))
        counted = Counter(modes[row.path] for row in members).most_common()
        yield [*kind, f"{low} to {high}, median {middle}", ", ".join(f"{mode} {count}" for mode, count in counted)]
