from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from service.contract.card import InputSpec
from service.contract.preprocess import Square, content_square, preprocess, to_grey
from tests.pictures import draw

SPEC = InputSpec(height=8, width=8, mean=(0.5,), std=(0.5,))

GOLDEN = np.array(
    [
        [0, 28, 55, 70, 84, 99, 72, 1],
        [1, 39, 72, 87, 101, 116, 83, 1],
        [1, 51, 90, 105, 119, 134, 96, 2],
        [1, 64, 109, 124, 138, 153, 108, 2],
        [1, 76, 128, 143, 157, 172, 120, 2],
        [1, 88, 147, 162, 176, 191, 133, 2],
        [2, 101, 165, 180, 194, 209, 145, 2],
        [2, 112, 182, 197, 211, 226, 156, 2],
    ],
    np.uint8,
)  # fmt: skip


def wedge() -> Image.Image:
    """A picture of exact integers: a bright wedge off-centre on black, 60 wide and 40 high."""
    pixels = np.zeros((40, 60), np.uint8)
    pixels[5:35, 10:30] = (np.arange(30)[:, None] * 5 + np.arange(20)[None] * 4 + 30).astype(np.uint8)
    return Image.fromarray(pixels)


def test_the_golden_array_has_not_moved() -> None:
    assert np.array_equal(preprocess(wedge(), SPEC), GOLDEN)


def test_the_answer_has_the_cards_size_and_eight_bits() -> None:
    slice_ = preprocess(draw(1, 300, 170), InputSpec(height=24, width=16, mean=(0.5,), std=(0.5,)))
    assert slice_.shape == (24, 16)
    assert slice_.dtype == np.uint8


def test_dark_border_is_cropped_to_a_centred_square() -> None:
    assert content_square(wedge()) == Square(left=5, top=5, side=30)


def test_a_dark_picture_keeps_its_whole_frame() -> None:
    assert content_square(Image.new("L", (30, 10), 3)) == Square(0, -10, 30)


@pytest.mark.parametrize("width", [255, 256, 66_000])
def test_a_long_bright_row_is_counted_whole(width: int) -> None:
    assert content_square(Image.new("L", (width, 2), 200)) == Square(0, -((width - 2) // 2), width)


def test_specks_in_the_border_do_not_count() -> None:
    picture = Image.new("L", (400, 400), 0)
    picture.paste(120, (100, 100, 300, 300))
    picture.putpixel((2, 2), 255)
    assert content_square(picture) == Square(100, 100, 200)


def test_more_border_changes_nothing() -> None:
    framed = Image.new("L", (400, 500), 0)
    framed.paste(wedge(), (200, 300))
    assert np.array_equal(preprocess(framed, SPEC), preprocess(wedge(), SPEC))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "CMYK", "I;16", "I", "F"])
def test_a_grey_picture_answers_alike_in_every_mode(mode: str) -> None:
    stretched = np.asarray(draw(3)).copy()
    stretched[0, 0], stretched[1, 1] = 0, 255
    grey = Image.fromarray(stretched)
    values = stretched.astype(np.uint16) * 16 if mode == "I;16" else None
    other = Image.fromarray(values) if values is not None else grey.convert(mode)
    assert other.mode == mode
    difference = preprocess(other, SPEC).astype(int) - preprocess(grey, SPEC).astype(int)
    assert np.abs(difference).max() <= 1


def test_a_black_and_white_picture_is_read() -> None:
    assert set(np.unique(np.asarray(to_grey(draw(3).convert("1"))))) == {0, 255}


def test_twelve_bits_in_sixteen_do_not_come_out_black() -> None:
    deep = Image.fromarray(np.linspace(0, 4095, 64 * 64).reshape(64, 64).astype(np.uint16))
    grey = np.asarray(to_grey(deep))
    assert (grey.min(), grey.max()) == (0, 255)


def test_transparency_falls_on_black() -> None:
    picture = Image.new("RGBA", (10, 10), (255, 255, 255, 0))
    assert np.asarray(to_grey(picture)).max() == 0


def test_a_transparent_palette_entry_falls_on_black() -> None:
    picture = Image.new("P", (10, 10), 1)
    picture.putpalette([0, 0, 0, 255, 255, 255])
    picture.info["transparency"] = 1
    assert np.asarray(to_grey(picture)).max() == 0


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = BytesIO()
    draw(4).save(buffer, "PNG", exif=exif)
    turned = Image.open(buffer)
    assert np.array_equal(preprocess(turned, SPEC), preprocess(draw(4).transpose(Image.Transpose.ROTATE_270), SPEC))


def test_values_that_are_not_numbers_count_as_zero() -> None:
    values = np.array([[np.nan, 1.0], [np.inf, 2.0]], np.float32)
    assert np.asarray(to_grey(Image.fromarray(values))).tolist() == [[0, 128], [0, 255]]
