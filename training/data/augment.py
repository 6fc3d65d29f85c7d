"""What may happen to an MRI slice without changing its class, drawn anew each time, whole batches at once.

Mirror, small rotation, shift, zoom and stretch; gamma, contrast, shading, blur and noise. The random grey-level curve
(Zhou et al. 2019, Models Genesis, non-linear transformation) and another slice's grey levels stand in for other
sequences and scanners, since in the public data the scanner all but gives the class away.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from training.augmentconfig import AugmentConfig
from training.data.elsewhere import frame, saturate, strip, turn
from training.data.graft import Sample, each, graft, only

PART = (0.45, 0.8)
"""Side of a cut, as a share of the slice's."""
GONE, KEPT = 0.05, 0.5
"""Visible shares of a tumour below which a cut slice shows none, and below which nobody can say."""

GROUND = 0.03
"""Grey level, of 1, up to which a pixel counts as ground around the head."""
RIM = 0.15
"""Grey levels above the ground in which air and skin mix, as a share of the tissue's."""
BRIGHT = 0.95
"""Share of what is not ground that is darker than the brightest tissue: most of the rest is fat and vessels."""


def augment(
    batch: Sample, size: int, config: AugmentConfig, *, absent: int | None, generator: torch.Generator
) -> Sample:
    """Slices and masks (N, 1, H, W) uint8 to (N, 1, size, size) in 0–1, and what is right for them now.

    `absent` is the index of the class without a tumour, if there is one: a slice may lose its tumour by a cut or a
    patch.
    """
    both = torch.cat([batch.grey, batch.masks], dim=1).float() / 255
    moved, visible = move(both, size, config, generator, cuttable=batch.known)
    sample = cut_label(batch._replace(grey=moved[:, :1], masks=moved[:, 1:]), visible, absent)
    if absent is not None:
        sample = graft(sample, config.graft, absent, generator, alike=config.alike)
    sample = strip(sample, config.strip, generator)
    sample = sample._replace(grey=match_histograms(sample.grey, config, generator))
    sample = invert(sample, config, absent, generator)
    grey = recolour(shade(sample.grey, config, generator), config, generator)
    grey = saturate(degrade(grey, config, generator).clamp(0, 1), config.saturate, generator)
    return turn(frame(sample._replace(grey=grey), config.frame, generator), config.turn, generator)


def cut_label(sample: Sample, visible: Tensor, absent: int | None) -> Sample:
    """What is right once the shares `visible` (N,) of the tumours are left: with little none, with half anything.

    Beside a tumour without bounds nobody can say either, nor where no class stands for none.
    """
    if absent is None:
        return sample._replace(allowed=sample.allowed | (sample.known & (visible < KEPT))[:, None])
    outlined = sample.known & ~sample.allowed[:, absent]
    allowed = torch.where((outlined & (visible < KEPT))[:, None], True, sample.allowed)
    allowed = torch.where((outlined & sample.bounded & (visible < GONE))[:, None], only(absent, sample), allowed)
    return sample._replace(allowed=allowed)


def move(
    grey: Tensor, size: int, config: AugmentConfig, generator: torch.Generator, *, cuttable: Tensor
) -> tuple[Tensor, Tensor]:
    """Mirror, rotate, zoom, stretch and shift (N, 2, H, W) in a single bilinear resampling; black beyond the edges.

    Some `cuttable` slices (N,) are cut to a part of themselves. Also returns which share (N,) of the second channel
    is left.
    """
    n = len(grey)
    angle = _uniform(n, math.radians(config.rotation), generator)
    if config.angles:
        angle += torch.tensor(config.angles).deg2rad()[torch.randint(len(config.angles), (n,), generator=generator)]
    scale = _uniform(n, config.zoom, generator).exp()
    ratio = (_uniform(n, config.stretch, generator) / 2).exp()
    across, down = _uniform(n, 2 * config.shift, generator), _uniform(n, 2 * config.shift, generator)
    if config.cut:
        cut = cuttable & (torch.rand(n, generator=generator) < config.cut)
        part = torch.empty(n).uniform_(*PART, generator=generator)
        scale = torch.where(cut, part, scale)
        across = torch.where(cut, _uniform(n, 1, generator) * (1 - part), across)
        down = torch.where(cut, _uniform(n, 1, generator) * (1 - part), down)
    mirror = 1 - 2 * (torch.rand(n, generator=generator) < config.mirror).float()
    x, y = scale * ratio, scale / ratio
    rows = [angle.cos() * x * mirror, -angle.sin() * y, across,
            angle.sin() * x * mirror, angle.cos() * y, down]  # fmt: skip
    grid = F.affine_grid(torch.stack(rows, dim=1).view(n, 2, 3), [n, grey.shape[1], size, size], align_corners=False)
    moved = F.grid_sample(_shrink(grey, size), grid, align_corners=False)
    before, after = (channels[:, 1].flatten(1).mean(dim=1) for channels in (grey, moved))
    return moved, after * scale.square() / before.clamp(min=1e-6)


def match_histograms(grey: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Give some slices (N, 1, h, w) in 0–1 the grey levels of another slice of the batch, ground left as it is.

    Levels are exchanged by their rank among what is not ground (histogram specification, Gonzalez & Woods, §3.3).
    """
    if not config.match:
        return grey
    chosen = torch.rand(len(grey), generator=generator) < config.match
    shares = _cumulative_shares(grey)
    partners = shares[torch.randperm(len(grey), generator=generator)]
    curves = torch.searchsorted(partners[chosen], shares[chosen]).clamp(max=255) / 255
    matched = grey.clone()
    matched[chosen] = _through(curves, grey[chosen])
    return torch.where(grey <= GROUND, grey, matched)


def invert(sample: Sample, config: AugmentConfig, absent: int | None, generator: torch.Generator) -> Sample:
    """Show some slices as T2 or FLAIR might: outlined tumours bright, the tissue of half inverted.

    Lit up alike, tumours can hardly be told apart: with `invert_open` any type is right there, if a class stands for
    none.
    """
    if not config.invert:
        return sample
    grey = sample.grey.clone()
    chosen = torch.rand(len(grey), generator=generator) < config.invert
    seen, inside = grey[chosen], F.avg_pool2d(sample.masks[chosen], 5, stride=1, padding=2)
    turned = _through(_falling_curves(seen, generator), seen)
    tissue = torch.where(each(torch.rand(len(seen), generator=generator) < 0.5), turned, seen)
    bright = torch.empty(len(seen), 1, 1, 1).uniform_(0.7, 1, generator=generator)
    mean = (seen * inside).sum((2, 3), keepdim=True) / inside.sum((2, 3), keepdim=True).clamp(min=1)
    grey[chosen] = torch.lerp(tissue, bright + (seen - mean) / 2, inside).clamp(0, 1)
    if absent is None or not config.invert_open:
        return sample._replace(grey=grey)
    opened = chosen & ~sample.allowed[:, absent]
    return sample._replace(grey=grey, allowed=torch.where(opened[:, None], ~only(absent, sample), sample.allowed))


def shade(grey: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Multiply slices (N, 1, h, w) by a smooth random gain each, as an uneven receiver coil does."""
    if not config.bias:
        return grey
    coarse = torch.empty(len(grey), 1, 3, 3).uniform_(-config.bias, config.bias, generator=generator)
    return grey * F.interpolate(coarse, size=grey.shape[-2:], mode="bicubic", align_corners=True).exp()


def recolour(grey: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Gamma, contrast, brightness, and for some slices a random curve, over grey levels (N, 1, h, w) in 0–1."""
    n = len(grey)
    levels = torch.linspace(0, 1, 256)
    gamma = _uniform(n, config.gamma, generator).exp()[:, None]
    contrast = 1 + _uniform(n, config.contrast, generator)[:, None]
    brightness = _uniform(n, config.contrast / 3, generator)[:, None]
    curves = (levels[None] ** gamma - 0.5) * contrast + 0.5 + brightness
    remapped = torch.rand(n, generator=generator) < config.remap
    curves[remapped] = _random_curves(int(remapped.sum()), levels, generator)
    curves[:, 0] = curves[:, 0].clamp(max=0.05)
    return _through(curves.clamp(0, 1), grey)


def degrade(grey: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Take resolution from some slices (N, 1, h, w) and add noise to all where there is signal."""
    blurred = torch.rand(len(grey), generator=generator) < config.blur
    if blurred.any():
        factor = float(torch.empty(1).uniform_(config.detail, 0.8, generator=generator))
        small = F.interpolate(grey[blurred], scale_factor=factor, mode="bilinear", antialias=True)
        grey = grey.clone()
        grey[blurred] = F.interpolate(small, size=grey.shape[-2:], mode="bilinear", align_corners=False)
    strength = torch.rand(len(grey), 1, 1, 1, generator=generator) * config.noise
    return grey + torch.randn(grey.shape, generator=generator) * strength * (grey > 0.02)


def mix(slices: Tensor, allowed: Tensor, config: AugmentConfig) -> tuple[Tensor, Tensor, float]:
    """Blend a batch (N, h, w) with itself reversed: slices, the partners' labels, the share of the first.

    Mixup (Zhang et al. 2018) blends every pixel, CutMix (Yun et al. 2019, algorithm 1) pastes one rectangle, by one
    share a batch from Beta(α, α), drawn by torch's own generator: of many processes each draws another.
    """
    if not config.mixup and not config.cutmix:
        return slices, allowed, 1.0
    alpha = config.mixup or config.cutmix
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    if config.mixup:
        return torch.lerp(slices.flip(0), slices, share), allowed.flip(0), share
    inside = _rectangle(slices.shape[-2:], 1 - share)
    return torch.where(inside, slices.flip(0), slices), allowed.flip(0), 1 - inside.float().mean().item()


def _rectangle(shape: Sequence[int], area: float) -> Tensor:
    """Where (h, w) a rectangle of about this share of the area lies, its centre anywhere, cut off at the edges."""
    sides = []
    for length in shape:
        half, centre = math.sqrt(area) / 2, float(torch.rand(()))
        places = (torch.arange(length) + 0.5) / length
        sides.append((places >= centre - half) & (places < centre + half))
    return sides[0][:, None] & sides[1]


def _cumulative_shares(grey: Tensor) -> Tensor:
    """Share (N, 256) of the pixels above ground that have at most each grey level."""
    levels = (grey.clamp(0, 1) * 255).round().long().flatten(1)
    places = levels + 256 * torch.arange(len(grey))[:, None]
    counts = torch.bincount(places.flatten(), minlength=256 * len(grey)).view(-1, 256)
    counts[:, : round(GROUND * 255) + 1] = 0
    sums = counts.cumsum(dim=1)
    return sums / sums[:, -1:].clamp(min=1)


def _through(curves: Tensor, grey: Tensor) -> Tensor:
    """Grey levels (N, 1, h, w) in 0–1 through curves (N, 256)."""
    levels = (grey.clamp(0, 1) * 255).round().long().flatten(1)
    return curves.gather(1, levels).view_as(grey)


def _random_curves(n: int, levels: Tensor, generator: torch.Generator) -> Tensor:
    """Curves (n, 256) between the identity and one through random knots, half of them monotone, half free to fold."""
    knots = torch.rand(n, 5, generator=generator)
    monotone = torch.rand(n, generator=generator) < 0.5
    knots[monotone] = knots[monotone].sort(dim=1).values
    knots = torch.cat([torch.zeros(n, 1), knots], dim=1)
    curves = F.interpolate(knots[:, None], size=len(levels), mode="linear", align_corners=True)[:, 0]
    return torch.lerp(levels.expand(n, -1), curves, torch.rand(n, 1, generator=generator))


def _falling_curves(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Curves (n, 256) under which a slice's dark tissue and fluid turn bright and its bright tissue dark, as T2 has T1.

    The ground stays black, and a ramp above it keeps the head's edge, where air and skin mix, from lighting up.
    """
    n, levels = len(grey), torch.linspace(0, 1, 256)
    low = torch.empty(n, 1).uniform_(0.05, 0.35, generator=generator)
    high = torch.empty(n, 1).uniform_(0.7, 1, generator=generator)
    bend = _uniform(n, 0.7, generator).exp()[:, None]
    top = (_cumulative_shares(grey) < BRIGHT).sum(dim=1, keepdim=True).clamp(min=1) / 255
    ramp = ((levels - GROUND) / (RIM * top)).clamp(0, 1)
    return ramp * (high - (high - low) * (levels / top).clamp(max=1) ** bend)


def _shrink(grey: Tensor, size: int) -> Tensor:
    """Antialias down to 1.25 times the wanted size, so that the resampling that follows does not alias."""
    wanted = round(size * 1.25)
    if grey.shape[-1] <= wanted:
        return grey
    return F.interpolate(grey, size=(wanted, wanted), mode="bilinear", antialias=True)


def _uniform(n: int, limit: float, generator: torch.Generator) -> Tensor:
    return torch.empty(n).uniform_(-1, 1, generator=generator) * limit
