"""Drawn heads that stand in for slices where no patient's picture may lie: goldens, tests, documents."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from service.contract.probabilities import NO_TUMOR

SCALE = 4
"""Drawn this much larger and shrunk, so that edges are smooth."""

PLACES = {
    "glioma": ((0.62, 0.40), 0.10),
    "meningioma": ((0.31, 0.36), 0.07),
    "pituitary": ((0.50, 0.62), 0.045),
    "tumor": ((0.40, 0.66), 0.08),
}
"""Where a tumour lies (share of width and height) and its radius (share of the shorter side)."""


def draw_phantom(label: str, size: tuple[int, int], seed: int) -> Image.Image:
    """A grey picture of `size` (width, height): skull, brain, ventricles, and a bright blob if `label` is a tumour."""
    draws = np.random.default_rng(seed)
    width, height = size[0] * SCALE, size[1] * SCALE
    image = Image.new("L", (width, height))
    pen = ImageDraw.Draw(image)
    reach, slimness = draws.uniform(0.36, 0.43), draws.uniform(0.75, 0.95)
    for share, level in ((1.0, 200), (0.93, 40), (0.88, 105)):
        _ellipse(
            pen, image.size, (0.5, 0.5), (reach * share * slimness, reach * share), level + int(draws.integers(-15, 15))
        )
    for side in (-1, 1):
        _ellipse(pen, image.size, (0.5 + side * 0.055, 0.47), (0.03, 0.11), 35)
    if label != NO_TUMOR:
        _blob(pen, image.size, *PLACES[label], draws)
    return _finish(image, size, draws)


def _blob(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    centre: tuple[float, float],
    radius: float,
    draws: np.random.Generator,
) -> None:
    """A closed outline whose radius wavers around `radius`."""
    x, y = (size[0] * (centre[0] + draws.uniform(-0.02, 0.02)), size[1] * (centre[1] + draws.uniform(-0.02, 0.02)))
    angles = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    radii = min(size) * radius * draws.uniform(0.85, 1.15, len(angles))
    outline = [(x + r * math.cos(a), y + r * math.sin(a)) for a, r in zip(angles, radii, strict=True)]
    pen.polygon(outline, fill=235)


def _ellipse(
    pen: ImageDraw.ImageDraw, size: tuple[int, int], centre: tuple[float, float], radii: tuple[float, float], level: int
) -> None:
    left, top = size[0] * (centre[0] - radii[0]), size[1] * (centre[1] - radii[1])
    pen.ellipse((left, top, size[0] * (centre[0] + radii[0]), size[1] * (centre[1] + radii[1])), fill=level)


def _finish(image: Image.Image, size: tuple[int, int], draws: np.random.Generator) -> Image.Image:
    """Turn and shift as heads lie, shrink, and add the grain of a scanner where there is tissue."""
    shift = (int(image.width * draws.uniform(-0.06, 0.06)), int(image.height * draws.uniform(-0.06, 0.06)))
    laid = image.rotate(draws.uniform(-15, 15), Image.Resampling.BILINEAR, translate=shift)
    small = laid.filter(ImageFilter.GaussianBlur(SCALE)).resize(size, Image.Resampling.BOX)
    levels: npt.NDArray[np.float64] = np.asarray(small, dtype=np.float64)
    grain = draws.normal(0, 6, levels.shape) * (levels > 10)
    return Image.fromarray(np.clip(np.rint(levels + grain), 0, 255).astype(np.uint8))
