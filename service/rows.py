"""A heatmap as rows of JSON numbers, written by array lookup: a megapixel through lists would stall the event loop."""

import numpy as np

from service.contract.geometry import Heatmap

STEPS = 1000
"""Numbers are given to three decimals, finer than any map is true."""
CELLS = np.array([f"{step / STEPS:.3f}," for step in range(STEPS + 1)], dtype="S6")
"""`0.000,` to `1.000,`, all of one width."""
OPEN, CLOSE, COMMA = b"[],"


def json_rows(heatmap: Heatmap) -> bytes:
    """`[[0.000,0.125,…],…]`: JSON of a heatmap (height, width) in [0, 1]."""
    height, width = heatmap.shape
    cells = CELLS.take(np.rint(heatmap * STEPS).astype(np.intp))
    text = np.empty((height, CELLS.itemsize * width + 2), np.uint8)
    text[:, 1:-1] = cells.view(np.uint8)
    text[:, 0], text[:, -2], text[:, -1] = OPEN, CLOSE, COMMA
    return b"[" + text.tobytes()[:-1] + b"]"
