"""How other collections show a slice that these never do: turned, stripped of its skull, too bright, in a frame.

Pictures of a volume come out turned where its axes are not looked up, many public sets are stripped of the skull
(BraTS, Menze et al. 2015, among them), a narrow window saturates what is bright, and a screenshot has a margin.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from training.data.graft import Sample, each

HEAD = 0.06
"""Grey level, of 1, above which a pixel counts as head where the skull is sought."""
PEEL = (0.05, 0.11)
"""How far from the head's edge its skull reaches, as a share of the side."""
IN_SIGHT = 0.9
"""Share of a tumour that must be left, or the slice keeps its skull."""
MARGIN = (1.05, 1.5)
"""Side of a framed picture over that of what it frames."""


def turn(sample: Sample, share: float, generator: torch.Generator) -> Sample:
    """Turn some slices by a quarter, a half or three quarters; they must be square."""
    if not share:
        return sample
    quarters = torch.randint(1, 4, (len(sample.grey),), generator=generator)
    quarters[torch.rand(len(quarters), generator=generator) >= share] = 0
    grey, masks = sample.grey.clone(), sample.masks.clone()
    for number in (1, 2, 3):
        chosen = quarters == number
        grey[chosen], masks[chosen] = (part[chosen].rot90(number, (-2, -1)) for part in (sample.grey, sample.masks))
    return sample._replace(grey=grey, masks=masks)


def strip(sample: Sample, share: float, generator: torch.Generator) -> Sample:
    """Black out the rim of the head in some slices, as deep as skull and scalp are.

    How deep is drawn once a batch. A slice whose tumour is not outlined, or lies in the rim, stays whole.
    """
    if not share:
        return sample
    chosen = sample.known & (torch.rand(len(sample.grey), generator=generator) < share)
    depth = float(torch.empty(1).uniform_(*PEEL, generator=generator))
    inside = torch.ones_like(sample.grey)
    inside[chosen] = within(sample.grey[chosen], round(depth * sample.grey.shape[-1]))
    left = (sample.masks * inside).flatten(1).sum(dim=1) / sample.masks.flatten(1).sum(dim=1).clamp(min=1e-6)
    none = sample.masks.flatten(1).amax(dim=1) == 0
    chosen &= none | (left > IN_SIGHT)
    return sample._replace(grey=torch.where(each(chosen), sample.grey * inside, sample.grey))


def saturate(grey: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Multiply some slices (N, 1, h, w) in 0–1 by up to 2.5, so that all above white is white."""
    if not share:
        return grey
    chosen = torch.rand(len(grey), generator=generator) < share
    gain = torch.empty(len(grey)).uniform_(1, 2.5, generator=generator)
    return torch.where(each(chosen), (grey * each(gain)).clamp(max=1), grey)


def frame(sample: Sample, share: float, generator: torch.Generator) -> Sample:
    """Shrink some slices into an even margin, white in half of them."""
    if not share:
        return sample
    n = len(sample.grey)
    chosen = torch.rand(n, generator=generator) < share
    side = torch.where(chosen, torch.empty(n).uniform_(*MARGIN, generator=generator), 1.0)
    level = torch.empty(n).uniform_(0.2, 1, generator=generator)
    level[torch.rand(n, generator=generator) < 0.5] = 1.0
    planes = torch.cat([sample.grey, sample.masks, torch.ones_like(sample.grey)], dim=1)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = side
    moved = F.grid_sample(planes, F.affine_grid(theta, list(planes.shape), align_corners=False), align_corners=False)
    framed = moved[:, :1] + (1 - moved[:, 2:]) * each(level)
    return sample._replace(
        grey=torch.where(each(chosen), framed, sample.grey),
        masks=torch.where(each(chosen), moved[:, 1:2], sample.masks),
    )


def within(grey: Tensor, depth: int) -> Tensor:
    """1 in the head, holes included, further than `depth` pixels from its edge, 0 elsewhere: (N, 1, h, w)."""
    outside = F.pad(1 - _silhouette(grey), [depth] * 4, value=1.0)
    for window in ((1, 2 * depth + 1), (2 * depth + 1, 1)):  # a square's maximum, row by row and then column by column
        outside = F.max_pool2d(outside, window, stride=1)
    return 1 - outside


def _silhouette(grey: Tensor) -> Tensor:
    """1 in the head (N, 1, h, w), holes included: what has something bright on all four sides."""
    bright = (grey > HEAD).float()
    sides = [bright.cummax(dim).values for dim in (-1, -2)]
    sides += [bright.flip(dim).cummax(dim).values.flip(dim) for dim in (-1, -2)]
    return torch.stack(sides).amin(dim=0)
