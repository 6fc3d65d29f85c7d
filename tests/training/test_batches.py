import numpy as np
import torch

from training.augmentconfig import AugmentConfig
from training.batches import balance, draw_batches, steps_of
from training.config import Recipe, Stage
from training.data.index import Row
from training.data.outlines import Masks
from training.data.slices import Slices

TURNED = AugmentConfig(
    mirror=0, rotation=0, shift=0, zoom=0, stretch=0, gamma=0, contrast=0, remap=0, blur=0, noise=0, angles=(180,)
)  # fmt: skip


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


def uneven(recipe: Recipe) -> tuple[Slices, Masks, Recipe]:
    """Nine slices of one class, four of another, two of a third: each an arrow of its own grey level."""
    names = ("glioma", "meningioma", "no_tumor")
    labels = ["glioma"] * 9 + ["meningioma"] * 4 + ["no_tumor"] * 2
    rows = [Row("drawn", f"{i}.png", label, str(i), 1, 32, 32, "0" * 64) for i, label in enumerate(labels)]
    pixels = np.zeros((15, 32, 32), np.uint8)
    pixels[:, 4:8, 4:28] = np.arange(100, 250, 10)[:, None, None]
    allowed = np.array([[name == label for name in names] for label in labels])
    data = recipe.data.model_copy(update={"shares": dict.fromkeys(names, 1.0)})
    added = recipe.model_copy(
        update={
            "class_names": names, "data": data, "augment": TURNED, "draw": "added",
            "size": 32, "stages": (Stage(size=32, epochs=1),),
        }
    )  # fmt: skip
    return Slices(rows, pixels, allowed), Masks(np.zeros_like(pixels), np.zeros(15, np.bool_)), added


def test_added_slices_even_out_the_labels_and_they_alone_are_altered(recipe: Recipe) -> None:
    slices, masks, added = uneven(recipe)
    batches = list(draw_batches(slices, masks, added, torch.Generator().manual_seed(1), epoch=0))
    assert len(batches) == steps_of(added, slices)
    drawn = torch.cat([batch.slices for batch in batches])
    allowed = torch.cat([batch.allowed for batch in batches])
    assert allowed.sum(dim=0).tolist() == [9, 9, 9]
    upright = drawn[:, 5, 15].round().int()
    turned = drawn[:, 26, 15].round().int()
    assert sorted(upright[upright > 0].tolist()) == list(range(100, 250, 10))
    assert ((upright > 0) ^ (turned > 0)).all()
    assert set(turned[allowed[:, 1]].tolist()) <= {0, 190, 200, 210, 220}
    assert set(turned[allowed[:, 2]].tolist()) <= {0, 230, 240}
    assert (turned > 0).sum() == 5 + 7


def test_the_balance_of_added_slices_is_even(recipe: Recipe) -> None:
    slices, _, added = uneven(recipe)
    told = balance(slices, added)
    assert {label: of["slices"] for label, of in told.items()} == {"glioma": 9, "meningioma": 4, "no_tumor": 2}
    assert {of["drawn"] for of in told.values()} == {9 / 27}
