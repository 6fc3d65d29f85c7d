import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from training.data.groups import near_duplicates, thumbnail
from training.data.phantom import draw_phantom

SHARED = Path(__file__).parents[4] / "shared" / "data"

HEADS = [draw_phantom("glioma", (90, 80), seed) for seed in range(3)]


def groups_of(images: list[Image.Image]) -> list[int]:
    return near_duplicates(np.stack([thumbnail(image) for image in images]))


@pytest.mark.parametrize("method", list(Image.Transpose))
def test_a_flip_or_a_turn_stays_in_its_group(method: Image.Transpose) -> None:
    assert groups_of([*HEADS, HEADS[1].transpose(method)]) == [0, 1, 2, 1]


def test_another_size_or_contrast_stays_in_its_group() -> None:
    paler = HEADS[2].point(lambda level: level * 0.5 + 40)
    assert groups_of([*HEADS, HEADS[0].resize((300, 250)), paler]) == [0, 1, 2, 0, 2]


def test_chains_of_likeness_are_one_group() -> None:
    draws = np.random.default_rng(0)
    first, other = draws.normal(size=(2, 64, 64))
    steps = [np.cos(angle) * first + np.sin(angle) * other for angle in (0.0, 0.15, 0.3)]
    chain = np.stack(steps).astype(np.float32)
    assert near_duplicates(chain) == [0, 0, 0]
    assert near_duplicates(chain[[0, 2]]) == [0, 1]


def test_blank_pictures_are_like_nothing() -> None:
    assert groups_of([Image.new("L", (70, 70)), Image.new("L", (70, 70)), HEADS[0]]) == [0, 1, 2]


@pytest.mark.skipif(not SHARED.exists(), reason="the real pictures are not in ../shared/data")
def test_groups_of_br35h_are_the_published_ones() -> None:
    with (SHARED / "index.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if (row["dataset"], row["label"]) == ("br35h", "no_tumor")]
    ours, published = defaultdict(set), defaultdict(set)
    for row, group in zip(rows, groups_of([_read(SHARED / row["path"]) for row in rows]), strict=True):
        ours[group].add(row["path"])
        published[row["group"]].add(row["path"])
    assert len(ours) == 221
    assert {frozenset(members) for members in ours.values()} == {frozenset(members) for members in published.values()}


def _read(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image)
