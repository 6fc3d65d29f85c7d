"""Bytes to a picture, or a named refusal."""

from io import BytesIO

from PIL import Image, ImageOps

from service.errors import EmptyImage, ImageTooLarge, ImageTooSmall, NotAnImage, SeveralFrames, UnreadableImage

MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "I;16B", "I;16L", "F"})
"""Pillow modes that the contract's preprocessing reads; any other is converted to RGB first."""


def decode(content: bytes, max_pixels: int, min_side: int = 1) -> Image.Image:
    """The single, upright picture in `content`, its pixels loaded.

    The type is told by magic bytes; size and frames are read from the header before any pixel is decoded.
    """
    if not content:
        raise EmptyImage
    picture = _open(content, image_format(content))
    _check_size(picture, max_pixels, min_side)
    try:
        if picture.format != "JPEG" and getattr(picture, "n_frames", 1) > 1:
            raise SeveralFrames(frames=getattr(picture, "n_frames", None))
        picture.load()
        upright = ImageOps.exif_transpose(picture)
        return upright if upright.mode in MODES else upright.convert("RGB")
    except SeveralFrames:
        raise
    except Exception as error:  # Pillow's parsers raise whatever they trip over
        raise UnreadableImage from error


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


def _open(content: bytes, name: str) -> Image.Image:
    try:
        return Image.open(BytesIO(content), formats=(name,))
    except Image.DecompressionBombError as error:
        raise ImageTooLarge from error
    except Exception as error:
        raise UnreadableImage from error


def _check_size(picture: Image.Image, max_pixels: int, min_side: int) -> None:
    width, height = picture.size
    if width * height > max_pixels:
        raise ImageTooLarge(f"{width} x {height} pixels, at most {max_pixels} are taken", limit_pixels=max_pixels)
    if min(width, height) < min_side:
        raise ImageTooSmall(f"{width} x {height} pixels, at least {min_side} a side are needed", limit_side=min_side)
