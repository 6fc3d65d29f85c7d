"""Pictures drawn for the tests: head-like, each seed its own."""

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw


def draw(seed: int, width: int = 200, height: int = 240, mode: str = "L") -> Image.Image:
    """A grey ellipse on black with blobs that only this seed has."""
    random = np.random.default_rng(seed)
    picture = Image.new("L", (width, height), 0)
    pen = ImageDraw.Draw(picture)
    pen.ellipse((width // 8, height // 8, width - width // 8, height - height // 8), fill=90)
    for _ in range(8):
        x, y = (int(random.integers(side // 4, 3 * side // 4)) for side in (width, height))
        radius = int(random.integers(2, 4 + min(width, height) // 6))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=int(random.integers(30, 255)))
    return picture.convert(mode)


def encode(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The picture's bytes in the given format."""
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png(seed: int) -> bytes:
    """A drawn picture as PNG."""
    return encode(draw(seed))


def deep(values: npt.NDArray[np.uint16]) -> Image.Image:
    """A 16-bit grey picture."""
    return Image.fromarray(values)
