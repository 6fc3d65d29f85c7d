"""Whatever bytes come, the decoder answers with a picture within its limits or with a refusal that is the caller's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.contract.card import InputSpec
from service.errors import ServiceError
from service.images import read_slice
from tests.pictures import draw, encode

MAX_PIXELS = 40_000
SPEC = InputSpec(height=32, width=32, mean=[0.0], std=[1.0])
MAGIC = [
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"II*\x00",
    b"MM\x00*",
    b"RIFF\x10\x00\x00\x00WEBP",
    b"BM",
    b"GIF89a",
]


def turned() -> Image.Exif:
    """EXIF that asks for a quarter turn."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


SEEDS = [
    *(encode(draw(seed, 60, 48, mode), kind) for seed, (kind, mode) in enumerate([
        ("PNG", "L"), ("PNG", "P"), ("PNG", "RGBA"), ("JPEG", "L"), ("JPEG", "CMYK"), ("BMP", "RGB"), ("TIFF", "L"),
        ("TIFF", "CMYK"), ("WEBP", "RGB"),
    ])),
    encode(draw(90, 60, 48), "TIFF", compression="tiff_lzw"),
    encode(draw(91, 60, 48), "JPEG", progressive=True, exif=turned()),
    encode(draw(92, 60, 48, "RGB"), "WEBP", save_all=True, append_images=[draw(93, 60, 48, "RGB")]),
]  # fmt: skip

changes = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=6)


def damaged(seed: bytes, edits: list[tuple[float, bytes]], length: float) -> bytes:
    """The picture's bytes with some overwritten, cut off at a share of their length."""
    content = bytearray(seed)
    for place, written in edits:
        at = int(place * len(content))
        content[at : at + len(written)] = written
    return bytes(content[: int(length * len(content))])


def answered(content: bytes) -> bool:
    """Whether there is a picture; anything but a picture within the limits or a 4xx fails."""
    try:
        picture, pixels = read_slice(content, SPEC, MAX_PIXELS, 8)
    except ServiceError as error:
        if error.status >= 500:
            raise
        return False
    assert picture.width * picture.height <= MAX_PIXELS
    assert pixels.shape == (32, 32)
    assert pixels.dtype == np.uint8
    return True


@pytest.mark.parametrize("seed", SEEDS[:-1])
def test_the_pictures_that_are_damaged_below_are_sound(seed: bytes) -> None:
    assert answered(seed)


@settings(max_examples=150, deadline=None, database=None)
@given(st.sampled_from(MAGIC), st.binary(max_size=400))
def test_bytes_without_sense_are_refused(magic: bytes, rest: bytes) -> None:
    answered(magic + rest)


@settings(max_examples=400, deadline=None, database=None)
@given(st.sampled_from(SEEDS), changes, st.one_of(st.just(1.0), st.floats(0, 1)))
def test_damaged_pictures_are_answered_or_refused(seed: bytes, edits: list[tuple[float, bytes]], length: float) -> None:
    answered(damaged(seed, edits, length))


@settings(max_examples=100, deadline=None, database=None)
@given(st.sampled_from(SEEDS), st.sampled_from(SEEDS), st.binary(max_size=50))
def test_two_files_in_one_are_one_picture_or_none(one: bytes, other: bytes, between: bytes) -> None:
    answered(one + between + other)
