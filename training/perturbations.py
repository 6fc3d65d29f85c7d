"""What may have happened to a slice before it is sent, at one strength each: grey pictures (mode L) in, the same out.

Corruptions as in Hendrycks & Dietterich 2019 (ImageNet-C), as far as MRI slices meet them, and the ways in which other
collections show a head: turned, framed, written on, without its skull.
"""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from training.data.elsewhere import within
from training.data.slices import Change

SIGMA = 20.0
"""Standard deviation of the noise in each of the two channels of a magnitude picture, of 255 grey levels."""
RIM = 0.08
"""How deep the head's rim is, as a share of the longer side."""
SMALL = 96
"""Width to which a picture is shrunk, pixels."""
WORDS = ("NAME^PATIENT", "1970-01-01", "SE 4 IM 12", "TR 550 TE 14")


def _cropped(image: Image.Image) -> Image.Image:
    across, down = round(0.1 * image.width), round(0.1 * image.height)
    return image.crop((across, down, image.width - across, image.height - down))


def _framed(image: Image.Image) -> Image.Image:
    return ImageOps.expand(image, round(0.2 * max(image.size)), fill=255)


def _written_on(image: Image.Image) -> Image.Image:
    written = image.copy()
    pen = ImageDraw.Draw(written)
    pen.multiline_text((3, 3), "\n".join(WORDS), fill=255)
    pen.text((image.width - 12, image.height // 2), "L", fill=255)
    return written


def _noisy(image: Image.Image) -> Image.Image:
    """Rician noise (Gudbjartsson & Patz 1995), the same for every picture of a size."""
    grey, draws = np.asarray(image, np.float64), np.random.default_rng(0)
    real, imaginary = draws.normal(0, SIGMA, (2, *grey.shape))
    return Image.fromarray(np.hypot(grey + real, imaginary).clip(0, 255).astype(np.uint8))


def _compressed(image: Image.Image) -> Image.Image:
    file = BytesIO()
    image.save(file, "JPEG", quality=10)
    return Image.open(file).convert("L")


def _stripped(image: Image.Image) -> Image.Image:
    grey = torch.from_numpy(np.asarray(image, np.float32) / 255)[None, None]
    inside = within(grey, round(RIM * max(image.size)))[0, 0].numpy()
    return Image.fromarray((np.asarray(image) * inside).astype(np.uint8))


def _through(curve: Callable[[float], float]) -> Change:
    """Every grey level, 0 to 1, through `curve`; what lies beyond is black or white."""
    table = [round(255 * min(max(curve(level / 255), 0.0), 1.0)) for level in range(256)]
    return lambda image: image.point(table)


PERTURBATIONS: dict[str, Change] = {
    "as it is": lambda image: image,
    "mirrored": ImageOps.mirror,
    "upside down": ImageOps.flip,
    "quarter turn": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "half turn": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "turned by 30 degrees": lambda image: image.rotate(30, Image.Resampling.BILINEAR, expand=True),
    "without its outer tenth": _cropped,
    "stretched by 1.3": lambda image: image.resize((round(1.3 * image.width), image.height)),
    "in a white frame": _framed,
    "written on": _written_on,
    "without the head's rim": _stripped,
    "twice as bright": _through(lambda level: 2 * level),
    "dim, 0.4": _through(lambda level: 0.4 * level),
    "gamma 0.5": _through(lambda level: level**0.5),
    "gamma 2": _through(lambda level: level**2),
    "grey levels turned over": ImageOps.invert,
    "noise": _noisy,
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(max(image.size) / 128)),
    "96 pixels wide": lambda image: image.resize((SMALL, max(round(SMALL * image.height / image.width), 1))),
    "JPEG of quality 10": _compressed,
}
