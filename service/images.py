"""Bytes to a picture, or a named refusal."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.ExifTags import Base
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from service.contract.card import InputSpec
from service.contract.preprocess import Slice, preprocess
from service.errors import (
    BlankImage,
    EmptyImage,
    ImageTooLarge,
    ImageTooSmall,
    NoRoom,
    NotAnImage,
    ServiceError,
    SeveralFrames,
    UnreadableImage,
)

MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "I;16B", "I;16L", "F"})
"""Pillow modes that the contract's preprocessing reads; any other is converted to RGB first."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by its EXIF orientation (CIPA DC-008 §4.6.4)."""
METADATA = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
"""Where Pillow keeps an orientation; it is gone from a picture that has been turned."""

JPEG_SCAN = b"\xff\xda"
MOST_SCANS = 100
"""Scans of one JPEG; progressive ones have some ten, and each costs a pass over the whole picture."""
MOST_COVERS = 8
"""How often the strips or tiles of a picture may cover it; once a channel is usual, and each costs as much again."""
UNSIGNED, SIGNED = 1, 2
"""TIFF's sample formats of whole numbers from zero on, and of those below it too (TIFF 6.0 §19)."""
WHITE_IS_ZERO = 0
"""TIFF's photometric interpretation of a picture whose zeros are white (TIFF 6.0 §8)."""
LONGEST_SIDE = 8192
"""Pixels; a picture is padded to a square, so that a long thin one costs as much as a square one of that side."""


def decode(content: bytes, max_pixels: int, min_side: int = 1) -> Image.Image:
    """The single, upright picture in `content`, its pixels loaded.

    The type is told by magic bytes; size and frames are read from the header before any pixel is decoded. Raises the
    tree's errors of images, and `NoRoom` where a sound picture's pixels do not fit into what memory is left.
    """
    if not content:
        raise EmptyImage
    name = image_format(content)
    if content.count(JPEG_SCAN) > MOST_SCANS and name == "JPEG":
        raise UnreadableImage("the picture repeats itself")
    with _unreadable_on_failure():
        picture = Image.open(BytesIO(content), formats=(name,))
        _check_size(picture, max_pixels, min_side)
        if picture.format != "JPEG" and _has_second_frame(picture):
            raise SeveralFrames
        if _covered(picture) > MOST_COVERS * picture.width * picture.height:
            raise UnreadableImage("the picture repeats itself")
        if _loses_depth(picture):
            raise UnreadableImage("more than 8 bits a channel are taken in grey alone, without transparency")
        if _wraps(picture):
            raise UnreadableImage("signed numbers of 8 bits are not taken")
        with _no_room_on_shortage():
            picture.load()
            turned = upright(picture)
            for name in METADATA:
                turned.info.pop(name, None)
            if _is_unsigned(picture):
                turned = Image.fromarray(np.asarray(turned).view(np.uint32).astype(np.float32))
            if _is_negative(picture):
                return _inverted(turned)
            return turned if turned.mode in MODES else turned.convert("RGB")


def upright(picture: Image.Image) -> Image.Image:
    """The picture turned as its EXIF or XMP asks; where they make no sense it stays as its pixels lie.

    Pillow's own `exif_transpose` writes the metadata anew and so refuses a sound picture for a broken date.
    """
    try:
        turn = TURNS.get(picture.getexif().get(Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - Pillow's EXIF parser raises nearly every kind of exception
        turn = None
    return picture if turn is None else picture.transpose(turn)


def read_slice(content: bytes, spec: InputSpec, max_pixels: int, min_side: int) -> tuple[Image.Image, Slice]:
    """The picture in `content` and the network's input made from it; raises as `decode` does, and `BlankImage`."""
    picture = decode(content, max_pixels, min_side)
    return picture, to_slice(picture, spec)


def to_slice(picture: Image.Image, spec: InputSpec) -> Slice:
    """The network's input made from a decoded picture; raises `UnreadableImage`, `NoRoom` and `BlankImage`."""
    with _unreadable_on_failure(), _no_room_on_shortage():
        pixels = preprocess(picture, spec)
    if pixels.min() == pixels.max():
        raise BlankImage
    return pixels


@contextmanager
def _unreadable_on_failure() -> Iterator[None]:
    """Name whatever Pillow trips over: its parsers raise nearly every kind of exception on broken bytes."""
    try:
        yield
    except ServiceError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLarge from error
    except Exception as error:
        raise UnreadableImage from error


@contextmanager
def _no_room_on_shortage() -> Iterator[None]:
    """Memory that runs out over pixels, whose number was checked before, is no fault of the picture: try again."""
    try:
        yield
    except MemoryError as error:
        raise NoRoom("there is no memory left for the picture's pixels") from error


def image_format(content: bytes) -> str:
    """Pillow's name of the format that the magic bytes announce; raises `NotAnImage` on any other."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")):
        return "TIFF"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WEBP"
    if content.startswith(b"BM"):
        return "BMP"
    raise NotAnImage


def _covered(picture: Image.Image) -> int:
    """Pixels that the picture's strips or tiles announce together, however often they name the same bytes."""
    boxes = [tile[1] or (0, 0, *picture.size) for tile in getattr(picture, "tile", [])]
    return sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)


def _is_deep(picture: Image.Image) -> bool:
    return picture.mode.startswith(("I", "F"))


def _loses_depth(picture: Image.Image) -> bool:
    """Whether Pillow would keep only the upper 8 of a channel's bits, of which 12-bit MRI stored in 16 uses four."""
    if isinstance(picture, TiffImageFile):
        return max(picture.tag_v2.get(Base.BitsPerSample, (1,))) > 8 and not _is_deep(picture)
    return isinstance(picture, PngImageFile) and ";16" in str(picture.tile[0].args) and not _is_deep(picture)


def _wraps(picture: Image.Image) -> bool:
    """Whether Pillow would read numbers below zero as the brightest: it knows them of more than 8 bits alone."""
    return (
        isinstance(picture, TiffImageFile)
        and SIGNED in picture.tag_v2.get(Base.SampleFormat, ())
        and not _is_deep(picture)
    )


def _is_unsigned(picture: Image.Image) -> bool:
    """Whether Pillow reads numbers from 2^31 on as below zero: it knows signed ones of 32 bits alone."""
    return (
        isinstance(picture, TiffImageFile)
        and picture.mode == "I"
        and picture.tag_v2.get(Base.BitsPerSample) == (32,)
        and picture.tag_v2.get(Base.SampleFormat, (UNSIGNED,)) == (UNSIGNED,)
    )


def _is_negative(picture: Image.Image) -> bool:
    """Whether zero is white in the pixels that Pillow gives: it turns pictures of up to 8 bits round, and no deeper."""
    return (
        isinstance(picture, TiffImageFile)
        and picture.tag_v2.get(Base.PhotometricInterpretation) == WHITE_IS_ZERO
        and _is_deep(picture)
    )


def _inverted(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture)
    return Image.fromarray(-values if values.dtype.kind == "f" else ~values)


def _has_second_frame(picture: Image.Image) -> bool:
    """Looks one frame ahead and no further: counting the pages of a long TIFF takes half a minute."""
    try:
        picture.seek(1)
    except EOFError:
        return False
    picture.seek(0)
    return True


def _check_size(picture: Image.Image, max_pixels: int, min_side: int) -> None:
    width, height = picture.size
    if width * height > max_pixels:
        raise ImageTooLarge(f"{width} x {height} pixels, at most {max_pixels} are taken", limit_pixels=max_pixels)
    if max(width, height) > LONGEST_SIDE:
        raise ImageTooLarge(f"{width} x {height} pixels, at most {LONGEST_SIDE} a side are taken")
    if min(width, height) < min_side:
        raise ImageTooSmall(f"{width} x {height} pixels, at least {min_side} a side are needed", limit_side=min_side)
