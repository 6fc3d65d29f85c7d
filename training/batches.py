"""What the loop is fed: batches drawn, augmented and mixed, and each process's share of them."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor

from service.contract.probabilities import NO_TUMOR
from training.config import Recipe
from training.data.augment import augment, mix
from training.data.graft import Sample, each
from training.data.outlines import Masks
from training.data.slices import Slices, draw_weights


class Batch(NamedTuple):
    """Slices (N, h, w) in 0–255 with their allowed and partners' classes (N, classes) and masks (N, 1, h, w) in 0–1.

    `share` is what the slice itself holds of a mixture; `outlined` (N,) says where the mask is known.
    """

    slices: Tensor
    allowed: Tensor
    partners: Tensor
    masks: Tensor
    outlined: Tensor
    share: float

    def part(self, chosen: slice) -> "Batch":
        """Some of its slices."""
        return self._each(lambda tensor: tensor[chosen])

    def to(self, device: torch.device) -> "Batch":
        """The same on `device`."""
        return self._each(lambda tensor: tensor.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        classes = (change(self.allowed), change(self.partners))
        return Batch(change(self.slices), *classes, change(self.masks), change(self.outlined), self.share)

    @property
    def answers(self) -> Tensor:
        """The allowed classes (N, classes) of whichever partner holds the larger share."""
        return self.allowed if self.share >= 0.5 else self.partners


def steps_of(recipe: Recipe, source: Slices) -> int:
    """Batches of an epoch."""
    return math.ceil(drawn_of(recipe, [row.label for row in source.rows]) / recipe.optimizer.batch_size)


def draw_batches(
    source: Slices, masks: Masks, recipe: Recipe, generator: torch.Generator, *, epoch: int
) -> Iterator[Batch]:
    """The batches of an epoch at its size, with a progress bar."""
    drawn, added = draw(source, recipe, generator)
    size = size_of(recipe, epoch)
    starts = range(0, len(drawn), recipe.optimizer.batch_size)
    absent = recipe.class_names.index(NO_TUMOR) if NO_TUMOR in recipe.class_names else None
    for start in track(starts, f"epoch {epoch + 1} of {recipe.epochs}, {size} px", transient=True):
        part = slice(start, start + recipe.optimizer.batch_size)
        chosen = drawn[part].numpy()
        pixels, seen, allowed, known = (
            torch.from_numpy(of[chosen]) for of in (source.pixels, masks.pixels, source.allowed, masks.known)
        )
        bounded = ~allowed[:, [recipe.class_names.index(name) for name in recipe.augment.infiltrating]].any(dim=1)
        original = Sample(pixels.unsqueeze(1), seen.unsqueeze(1), allowed, known, bounded)
        sample = augment(original, size, recipe.augment, absent=absent, generator=generator)
        if recipe.draw == "added":
            sample = _spared(sample, original, ~added[part])
        mixed, partners, share = mix(sample.grey.squeeze(1) * 255, sample.allowed, recipe.augment)
        yield Batch(mixed, sample.allowed, partners, sample.masks, sample.known, share)


def draw(source: Slices, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Positions (N,) of an epoch's slices, as `recipe.draw` says, in random order; which of them (N,) are added."""
    if recipe.draw == "weighted":
        chances = torch.from_numpy(draw_weights(source, recipe.data))
        drawn = torch.multinomial(chances, recipe.data.epoch_slices, replacement=True, generator=generator)
        return drawn, torch.zeros(len(drawn), dtype=torch.bool)
    places = [torch.arange(len(source.rows))]
    if recipe.draw == "added":
        labels = [row.label for row in source.rows]
        for label, missing in _missing(labels).items():
            own = torch.tensor([place for place, of in enumerate(labels) if of == label])
            places.append(own[torch.randint(len(own), (missing,), generator=generator)])
    drawn = torch.cat(places)
    order = torch.randperm(len(drawn), generator=generator)
    return drawn[order], order >= len(source.rows)


def drawn_of(recipe: Recipe, labels: Sequence[str]) -> int:
    """How many slices an epoch draws of those with these labels."""
    if recipe.draw == "weighted":
        return recipe.data.epoch_slices
    return len(labels) + (sum(_missing(labels).values()) if recipe.draw == "added" else 0)


def size_of(recipe: Recipe, epoch: int) -> int:
    """The side at which an epoch trains."""
    ends = 0
    for stage in recipe.stages:
        ends += stage.epochs
        if epoch < ends:
            return stage.size
    return recipe.size


def balance(source: Slices, recipe: Recipe) -> dict[str, dict[str, float]]:
    """Of each label: slices there are, and the share of an epoch that is drawn from it."""
    labels = [row.label for row in source.rows]
    counts = Counter(sorted(labels))
    if recipe.draw == "weighted":
        total = sum(recipe.data.shares[label] for label in counts)
        return {label: {"slices": n, "drawn": recipe.data.shares[label] / total} for label, n in counts.items()}
    added = _missing(labels) if recipe.draw == "added" else Counter[str]()
    drawn = drawn_of(recipe, labels)
    return {label: {"slices": n, "drawn": (n + added[label]) / drawn} for label, n in counts.items()}


def _missing(labels: Sequence[str]) -> Counter[str]:
    """How many fewer each label has than the most frequent one."""
    counts = Counter(sorted(labels))
    return Counter({label: max(counts.values()) - count for label, count in counts.items()})


def _spared(altered: Sample, original: Sample, chosen: Tensor) -> Sample:
    """What `augment` made of a batch of uint8, but of the `chosen` (N,) the original, resized and no more."""
    size = altered.grey.shape[-1]
    both = torch.cat([original.grey, original.masks], dim=1).float() / 255
    same = F.interpolate(both, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return Sample(
        torch.where(each(chosen), same[:, :1], altered.grey),
        torch.where(each(chosen), same[:, 1:], altered.masks),
        torch.where(chosen[:, None], original.allowed, altered.allowed),
        torch.where(chosen, original.known, altered.known),
        torch.where(chosen, original.bounded, altered.bounded),
    )
