import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from service.contract.card import InputSpec
from service.contract.preprocess import preprocess
from training.data.index import Row
from training.data.outlines import draw_mask, load_masks, read_outlines

SPEC = InputSpec(height=60, width=60, mean=(0.5,), std=(0.5,))
SQUARE = [[40, 30], [60, 30], [60, 50], [40, 50]]


def row(label: str, name: str = "1") -> Row:
    return Row("drawn", f"drawn/{label}/{name}.png", label, "g", 1, 160, 100, "0" * 64)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A head of level 60 on wide black, with a tumour of level 250 that its outline follows."""
    picture = Image.new("L", (160, 100))
    ImageDraw.Draw(picture).rectangle((20, 10, 99, 89), fill=60)
    ImageDraw.Draw(picture).polygon([(x, y) for x, y in SQUARE], fill=250)
    for label in ("glioma", "no_tumor", "pituitary"):
        (tmp_path / "drawn" / label).mkdir(parents=True)
        picture.save(tmp_path / "drawn" / label / "1.png")
    (tmp_path / "one.json").write_text(json.dumps({"1": SQUARE}))
    (tmp_path / "many.json").write_text(json.dumps({"1.jpg": [SQUARE, [[0, 0], [9, 0], [9, 9]]]}))
    return tmp_path


def test_both_shapes_of_file_are_read(root: Path) -> None:
    outlines = read_outlines(root, {"drawn": "one.json", "other": "many.json"})
    assert outlines["drawn", "1"] == [SQUARE]
    assert len(outlines["other", "1"]) == 2


@pytest.mark.parametrize(("file", "stem"), [("1.png", "1"), ("1.JPG", "1"), ("a.1", "a.1"), ("1", "1")])
def test_a_picture_is_named_with_its_ending_or_without(root: Path, file: str, stem: str) -> None:
    (root / "one.json").write_text(json.dumps({file: SQUARE}))
    assert set(read_outlines(root, {"drawn": "one.json"})) == {("drawn", stem)}


def test_a_mask_lies_where_preprocess_puts_the_tumour(root: Path) -> None:
    mask = draw_mask(row("glioma"), root, read_outlines(root, {"drawn": "one.json"}), SPEC)
    with Image.open(root / "drawn/glioma/1.png") as picture:
        slice_ = preprocess(picture, SPEC)
    assert np.array_equal(mask > 127, slice_ > 155)
    assert 0 < (mask > 127).mean() < 0.2


def test_no_tumor_is_known_to_be_empty_and_a_tumour_without_outline_is_unknown(root: Path) -> None:
    rows = [row("glioma"), row("no_tumor")]
    (root / "one.json").write_text(json.dumps({"2": SQUARE}))
    masks = load_masks(rows, root, {"drawn": "one.json"}, SPEC)
    assert masks.known.tolist() == [False, True]
    assert masks.pixels.max() == 0


def test_without_outline_files_nothing_is_known(root: Path) -> None:
    masks = load_masks([row("glioma"), row("no_tumor")], root, {}, SPEC)
    assert masks.pixels.shape == (2, 60, 60)
    assert not masks.known.any()
