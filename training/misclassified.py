"""What a network answered wrongly on its test folds, the surest first: a contact sheet of slices."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageOps

from service.contract.preprocess import to_grey
from training.config import Recipe, read_recipe
from training.data.index import Row, read_index
from training.data.provenance import PUBLISHABLE
from training.data.slices import allowed_classes
from training.dataconfig import UNKNOWN_TUMOR
from training.errors import made_by
from training.index import INDEX
from training.predictions import PREDICTIONS, read_predictions
from training.run import RECIPE

SHEET = "misclassified.png"
PUBLIC_SHEET = "misclassified.public.png"
MOST = 48
MOST_PUBLIC = 12
COLUMNS = 6
TILE, WORDS = 150, 52
LETTERS = 27
"""Of a path, in one line of a tile."""


class Wrong(NamedTuple):
    """A slice, the class answered and its calibrated probability."""

    row: Row
    answer: str
    probability: float


def draw_misclassified(data: Path, run: Path, target: Path | None = None) -> list[Wrong]:
    """Write `misclassified.png` into the run or `target`, and `misclassified.public.png` with what others may see.

    `run` may be a cross-validation: its folds count together. Returns all wrong answers, the surest first.
    """
    folds = sorted(path.parent for path in run.glob(f"fold-*/{PREDICTIONS}")) or [run]
    wrong = sorted((each for fold in folds for each in wrong_answers(fold)), key=lambda each: -each.probability)
    public = [each for each in wrong if each.row.dataset in PUBLISHABLE]
    home = target or run
    home.mkdir(parents=True, exist_ok=True)
    draw_sheet(wrong[:MOST], data, home / SHEET, f"{len(wrong)} wrong, {min(len(wrong), MOST)} surest shown")
    (home / PUBLIC_SHEET).unlink(missing_ok=True)
    if public:
        title = f"{len(wrong)} wrong, the {min(len(public), MOST_PUBLIC)} surest of {' and '.join(PUBLISHABLE)} shown"
        draw_sheet(public[:MOST_PUBLIC], data, home / PUBLIC_SHEET, title)
    return wrong


def wrong_answers(run: Path) -> list[Wrong]:
    """The test folds' slices whose answer their label does not allow; sources left out whole do not count."""
    recipe = read_recipe(made_by("train", run / RECIPE))
    rows = {row.path: row for row in read_index(run / INDEX)}
    answers = [(rows[line["path"]], line["predicted"], line) for line in read_predictions(run)]
    return [
        Wrong(row, answer, float(line[answer]))
        for row, answer, line in answers
        if row.fold in recipe.data.test_folds and not _is_right(row.label, answer, recipe)
    ]


def draw_sheet(wrong: Sequence[Wrong], data: Path, path: Path, title: str) -> None:
    """A tile a slice with truth, answer, probability and file."""
    height = max(-(-len(wrong) // COLUMNS), 1)
    sheet = Image.new("L", (TILE * COLUMNS, 16 + (TILE + WORDS) * height), 0)
    pen = ImageDraw.Draw(sheet)
    pen.text((3, 2), title, fill=255)
    for place, each in enumerate(wrong):
        left, top = place % COLUMNS * TILE, 16 + place // COLUMNS * (TILE + WORDS)
        with Image.open(data / each.row.path) as image:
            sheet.paste(ImageOps.contain(to_grey(image), (TILE - 2, TILE - 2)), (left, top + WORDS))
        words = (
            f"{_name(each.row.label)}\n-> {each.answer} {each.probability:.2f}\n{textwrap.fill(each.row.path, LETTERS)}"
        )
        pen.multiline_text((left + 2, top), words, fill=255, spacing=1)
    sheet.save(path)


def _is_right(label: str, answer: str, recipe: Recipe) -> bool:
    return bool(allowed_classes(label, recipe.class_names)[recipe.class_names.index(answer)])


def _name(label: str) -> str:
    return "tumor, type unknown" if label == UNKNOWN_TUMOR else label
