from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from training.data.elsewhere import frame, saturate, strip, turn, within
from training.data.graft import Sample

SIDE, COUNT = 64, 40


def heads(tumor: tuple[int, int] | None = (28, 20)) -> Sample:
    """Discs with a bright rim, a dark gap and grey inside, all alike, with a tumour of 8 pixels at `tumor` (y, x)."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    radius = ((y - 31.5) ** 2 + (x - 31.5) ** 2).sqrt()
    grey = torch.where(radius < 22, 0.4, torch.where(radius < 25, 0.0, torch.where(radius < 28, 0.9, 0.0)))
    masks = torch.zeros(SIDE, SIDE)
    if tumor:
        masks[tumor[0] : tumor[0] + 8, tumor[1] : tumor[1] + 8] = 1
    always = torch.ones(COUNT, dtype=torch.bool)
    grey, masks = (part.expand(COUNT, 1, SIDE, SIDE).clone() for part in (grey, masks))
    return Sample(grey, masks, torch.eye(4)[[0] * COUNT].bool(), known=always, bounded=always)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def changed(before: Tensor, after: Tensor) -> Tensor:
    return (before != after).flatten(1).any(dim=1)


@pytest.mark.parametrize("change", [turn, strip, frame])
def test_without_a_share_nothing_is_changed_or_drawn(
    change: Callable[[Sample, float, torch.Generator], Sample],
) -> None:
    sample, generator = heads(), seeded()
    assert change(sample, 0.0, generator) is sample
    assert torch.equal(generator.get_state(), seeded().get_state())


def test_a_turned_slice_takes_its_outline_along_and_others_stay() -> None:
    sample = heads()
    turned = turn(sample, 0.5, seeded())
    moved = changed(sample.masks, turned.masks)
    assert 10 < int(moved.sum()) < 30
    assert torch.equal(turned.masks[~moved], sample.masks[~moved])
    whole = [sample.masks[0].rot90(n, (-2, -1)) for n in (1, 2, 3)]
    counts = [sum(torch.equal(mask, each) for mask in turned.masks[moved]) for each in whole]
    assert sum(counts) == int(moved.sum())
    assert min(counts) > 0
    torch.testing.assert_close(turned.grey.sum(dim=(1, 2, 3)), sample.grey.sum(dim=(1, 2, 3)))


def test_what_lies_within_the_head_is_kept_with_its_holes() -> None:
    grey = heads().grey[:1]
    grey[..., 30:34, 30:34] = 0
    inside = within(grey, 5)
    assert inside[0, 0, 32, 32] == 1
    assert inside[0, 0, 32, :9].sum() == 0
    assert 0 < inside.sum() < within(grey, 3).sum() < within(grey, 1).sum()


def test_a_stripped_head_has_no_skull_and_keeps_its_brain() -> None:
    sample = heads()
    stripped = strip(sample, 0.999999, seeded(2))
    assert stripped.grey[:, :, 31, 3:5].max() == 0
    assert torch.equal(stripped.grey[..., 24:40, 24:40], sample.grey[..., 24:40, 24:40])
    assert (stripped.grey <= sample.grey).all()
    assert torch.equal(stripped.masks, sample.masks)


@pytest.mark.parametrize(
    "sample", [heads((28, 3)), heads()._replace(known=torch.zeros(COUNT, dtype=torch.bool))], ids=["rim", "unknown"]
)
def test_a_skull_stays_where_a_tumour_might_go_with_it(sample: Sample) -> None:
    assert torch.equal(strip(sample, 0.999999, seeded()).grey, sample.grey)


def test_a_saturated_slice_is_brighter_and_white_at_most() -> None:
    grey = heads().grey
    bright = saturate(grey, 0.5, seeded())
    more = changed(grey, bright)
    assert 10 < int(more.sum()) < 30
    assert (bright >= grey).all()
    assert bright.max() == 1
    assert saturate(grey, 0.0, seeded()) is grey


def test_a_framed_slice_shrinks_into_an_even_margin_with_its_outline() -> None:
    sample = heads()
    framed = frame(sample, 0.5, seeded())
    small = changed(sample.masks, framed.masks)
    assert 10 < int(small.sum()) < 30
    assert torch.equal(framed.grey[~small], sample.grey[~small])
    levels = framed.grey[small][:, 0, 0, 0]
    assert (levels == 1).any()
    assert (levels < 1).any()
    assert levels.min() > 0.1
    assert (framed.masks[small].sum(dim=(1, 2, 3)) < sample.masks[small].sum(dim=(1, 2, 3))).all()
    corners = framed.grey[small][:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
    torch.testing.assert_close(corners, levels[:, None].expand(-1, 4))
