"""Counter-examples that the public data lack, cut and pasted along tumour outlines.

Every tumour of figshare is seen by one kind of scanner and nearly every slice without one by others, so that a
network may learn the scanner. Here a tumour is covered with tissue of the slice's other side, or of the likest slice
of the batch (the slice then shows none), or grafted onto a slice that shows none (which then shows one); and so that a
seam says nothing, other slices are patched where there is no tumour. After Dwibedi et al. 2017 (Cut, Paste and Learn)
and CutMix (Yun et al. 2019).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

COARSE = 4
"""Pixels a side that are taken together where a mask is grown."""
SMALL = 0.002
"""Share of a slice from which a mask counts as one."""
ALIKE, CELLS = 0.6, 16
"""Least correlation of two slices seen as so many cells a side, at which one may lend the other its tissue."""


class Sample(NamedTuple):
    """A batch: grey slices and tumour masks (N, 1, h, w), allowed classes (N, C), and two facts of each slice (N,).

    `known`: its mask is. `bounded`: its tumour, if it has one, ends there, and does not reach on into the tissue.
    """

    grey: Tensor
    masks: Tensor
    allowed: Tensor
    known: Tensor
    bounded: Tensor


def graft(sample: Sample, share: float, absent: int, generator: torch.Generator, *, alike: bool = False) -> Sample:
    """Cover, graft or patch about `share` of the slices; `absent` is the class of slices without a tumour.

    Tissue to cover and patch with is the slice's own other side, or, where `alike`, the likest slice's of the batch.
    """
    if not share:
        return sample
    order = torch.randperm(len(sample.grey), generator=generator)
    donor = Sample(*(part[order] for part in sample))
    wide = _widen(sample.masks)
    theirs = wide[order]
    chosen = torch.rand(len(order), generator=generator) < share
    ill, donor_ill = _shows_outlined(sample), _shows_outlined(donor)
    free = sample.allowed[:, absent] & (sample.allowed.sum(dim=1) == 1)
    coin = torch.rand(len(order), generator=generator) < 0.5
    apart = (sample.masks * theirs).flatten(1).sum(dim=1) == 0
    coverable = chosen & ill & sample.bounded & coin
    if alike:
        tissue, fits = _likest(sample, torch.where(each(coverable), wide, theirs))
    else:
        tissue, fits = _mirrored(sample, wide)
    covered = coverable & fits
    grafted = chosen & free & donor_ill & coin
    patched = chosen & donor_ill & apart & ~covered & ~grafted & (free | ill)
    if alike:  # where the likest slice was sought for a cover, it was not sought for a patch
        patched &= fits & ~coverable
    seam = torch.where(each(covered), wide, theirs) * each(covered | grafted | patched)
    filling = torch.where(each(grafted), _levelled(donor.grey, sample.grey), _levelled(tissue, sample.grey))
    return _relabel(
        sample, donor, torch.lerp(sample.grey, filling, seam), covered=covered, grafted=grafted, absent=absent
    )


def _mirrored(sample: Sample, places: Tensor) -> tuple[Tensor, Tensor]:
    """Each slice's other side, and whether (N,) that shows no tumour where the slice shows `places` (N, 1, h, w)."""
    return sample.grey.flip(-1), (sample.masks.flip(-1) * places).flatten(1).sum(dim=1) == 0


def _likest(sample: Sample, places: Tensor) -> tuple[Tensor, Tensor]:
    """The likest slice with its tumour elsewhere than at `places` (N, 1, h, w), and whether (N,) it is alike at all.

    Likeness is the correlation of the two at a few cells, so that planes of the head and its size must agree, not
    scanners.
    """
    cells = F.adaptive_avg_pool2d(sample.grey, CELLS).flatten(1)
    cells = F.normalize(cells - cells.mean(dim=1, keepdim=True), dim=1)
    masks, wanted = (F.adaptive_avg_pool2d(part, 2 * CELLS).flatten(1) for part in (sample.masks, places))
    likeness = cells @ cells.T
    likeness[(wanted @ masks.T > 0) | ~_shows_outlined(sample)[None]] = -1
    likeness.fill_diagonal_(-1)
    best, chosen = likeness.max(dim=1)
    return sample.grey[chosen], best > ALIKE


def only(absent: int, sample: Sample) -> Tensor:
    """The allowed classes (C,) of a slice without a tumour."""
    return F.one_hot(torch.tensor(absent), sample.allowed.shape[1]).bool()


def _relabel(sample: Sample, donor: Sample, grey: Tensor, *, covered: Tensor, grafted: Tensor, absent: int) -> Sample:
    allowed = torch.where(covered[:, None], only(absent, sample), sample.allowed)
    allowed = torch.where(grafted[:, None], donor.allowed, allowed)
    masks = torch.where(each(grafted), donor.masks, sample.masks * ~each(covered))
    return sample._replace(grey=grey, masks=masks, allowed=allowed)


def _shows_outlined(sample: Sample) -> Tensor:
    return sample.known & (sample.masks.flatten(1).mean(dim=1) > SMALL)


def _levelled(filling: Tensor, host: Tensor) -> Tensor:
    """The filling with the host's mean level where both show tissue."""
    tissue = (filling > 0.1) & (host > 0.1)
    count = tissue.flatten(1).sum(dim=1).clamp(min=1)
    means = [(part * tissue).flatten(1).sum(dim=1) / count for part in (host, filling)]
    return (filling * each(means[0] / means[1].clamp(min=0.05))).clamp(0, 1)


def _widen(masks: Tensor) -> Tensor:
    """Masks grown by some 4 % of the side, soft at the edge; reckoned coarsely, since a seam need not be fine."""
    small = F.interpolate(masks, scale_factor=1 / COARSE, mode="area").ceil()
    reach = max(round(small.shape[-1] * 0.04), 1)
    grown = F.max_pool2d(small, 2 * reach + 1, stride=1, padding=reach)
    return F.interpolate(grown, size=masks.shape[-2:], mode="bilinear", align_corners=False)


def each(values: Tensor) -> Tensor:
    """One value a slice (N,), shaped to go with pictures (N, 1, h, w)."""
    return values.view(-1, 1, 1, 1)
