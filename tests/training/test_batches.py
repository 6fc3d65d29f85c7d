import numpy as np
import torch

from training.augmentconfig import AugmentConfig
from training.batches import draw_batches
from training.config import Recipe
from training.data.index import Row
from training.data.outlines import Masks
from training.data.slices import Slices


def test_a_tumour_that_leaves_the_picture_does_not_become_another_where_no_class_stands_for_none(
    recipe: Recipe,
) -> None:
    """Meningiomas in a corner, moved by up to half a side: what is left of them may be anything, but no glioma."""
    names = ("glioma", "meningioma", "pituitary")
    data = recipe.data.model_copy(update={"shares": dict.fromkeys(names, 1.0), "outlines": {"drawn": "outlines.json"}})
    augment = AugmentConfig(shift=0.5, blur=0, remap=0)
    three = recipe.model_copy(update={"class_names": names, "data": data, "augment": augment, "draw": "once"})
    rows = [Row("drawn", f"{i}.png", "meningioma", str(i), 1, 32, 32, "0" * 64) for i in range(32)]
    pixels = np.full((32, 32, 32), 99, np.uint8)
    pixels[:, :4, :4] = 255
    slices = Slices(rows, pixels, np.tile([False, True, False], (32, 1)))
    masks = Masks(np.where(pixels == 255, np.uint8(255), np.uint8(0)), np.ones(32, np.bool_))
    batches = draw_batches(slices, masks, three, torch.Generator().manual_seed(1), epoch=0)
    answers = torch.cat([batch.allowed for batch in batches])
    assert {tuple(answer) for answer in answers.tolist()} == {(False, True, False), (True, True, True)}
