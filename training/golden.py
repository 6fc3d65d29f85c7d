"""Golden inputs and answers: what a loaded bundle is asked before it may serve."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from service.contract.card import InputSpec
from service.contract.preprocess import preprocess
from training.data.phantom import draw_phantom
from training.graph import Graph

DRAWN = (
    ("no_tumor", (256, 256)),
    ("glioma", (512, 512)),
    ("meningioma", (240, 240)),
    ("pituitary", (512, 512)),
    ("no_tumor", (225, 300)),
    ("glioma", (630, 480)),
    ("meningioma", (180, 218)),
    ("pituitary", (1024, 768)),
)
"""Label and size (width, height) of each phantom. Drawn, since no patient's picture may be published."""


def write_golden(path: Path, graph: Graph, spec: InputSpec) -> None:
    """Write `images` (8, h, w) uint8 and `logits` (8, classes) float32 to `path`."""
    images = golden_slices(spec)
    np.savez_compressed(path, images=images, logits=graph(images).logits)


def golden_slices(spec: InputSpec) -> npt.NDArray[np.uint8]:
    """The drawn phantoms, preprocessed: (8, h, w)."""
    drawn = (draw_phantom(label, size, seed) for seed, (label, size) in enumerate(DRAWN))
    return np.stack([preprocess(image, spec) for image in drawn])
