"""How well the tumours that a network draws fit the published outlines of the test folds."""

from pathlib import Path

import torch

from training.config import Recipe
from training.data.outlines import load_masks
from training.data.slices import Slices
from training.intervals import Chosen, intervals
from training.report import MaskFigures
from training.run import input_spec, load_best, load_outline
from training.validation import overlaps
from training.variants.guard import QUANTIZATION


def measure_masks(recipe: Recipe, data: Path, run: Path, tested: Slices, resamples: int) -> MaskFigures | None:
    """Dice and IoU of the masks drawn on `tested`, where drawing them is part of the task (`optimizer.theta`).

    It is the checkpoint that draws, in torch, as in validation: no graph does. None where no slice shows an outlined
    tumour, where integers answer, and for a checkpoint of before its outline head was kept.
    """
    if recipe.optimizer.theta is None or (run / QUANTIZATION).exists():
        return None
    network = load_best(recipe, run)
    outline = load_outline(network, run)
    if outline is None:
        return None
    masks = load_masks(tested.rows, data, recipe.data.outlines, input_spec(recipe))
    found = overlaps(network, outline, tested, masks, torch.device("cpu"))
    rows = [tested.rows[place] for place in found.shown]
    if not rows:
        return None

    def figures(chosen: Chosen) -> dict[str, float]:
        return {"dice": float(found.dice[chosen].mean()), "iou": float(found.iou[chosen].mean())}

    return MaskFigures(slices=len(rows), **intervals(figures, rows, recipe.seed, resamples))
