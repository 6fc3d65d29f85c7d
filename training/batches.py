"""What the loop is fed: batches drawn, augmented and mixed, and each process's share of them."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from rich.progress import track
from torch import Tensor

from service.contract.probabilities import NO_TUMOR
from training.config import Recipe
from training.data.augment import augment, mix
from training.data.graft import Sample
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
    return math.ceil(_drawn_of(recipe, source) / recipe.optimizer.batch_size)


def draw_batches(
    source: Slices, masks: Masks, recipe: Recipe, generator: torch.Generator, *, epoch: int
) -> Iterator[Batch]:
    """The batches of an epoch at its size, with a progress bar."""
    drawn, size = draw(source, recipe, generator).numpy(), size_of(recipe, epoch)
    starts = range(0, len(drawn), recipe.optimizer.batch_size)
    absent = recipe.class_names.index(NO_TUMOR) if NO_TUMOR in recipe.class_names else None
    for start in track(starts, f"epoch {epoch + 1} of {recipe.epochs}, {size} px", transient=True):
        chosen = drawn[start : start + recipe.optimizer.batch_size]
        pixels, seen, allowed, known = (
            torch.from_numpy(part[chosen]) for part in (source.pixels, masks.pixels, source.allowed, masks.known)
        )
        bounded = ~allowed[:, [recipe.class_names.index(name) for name in recipe.augment.infiltrating]].any(dim=1)
        original = Sample(pixels.unsqueeze(1), seen.unsqueeze(1), allowed, known, bounded)
        sample = augment(original, size, recipe.augment, absent=absent, generator=generator)
        mixed, partners, share = mix(sample.grey.squeeze(1) * 255, sample.allowed, recipe.augment)
        yield Batch(mixed, sample.allowed, partners, sample.masks, sample.known, share)


def draw(source: Slices, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Positions of an epoch's slices: by their chance with replacement, or each once in random order."""
    count = _drawn_of(recipe, source)
    if recipe.draw == "once":
        return torch.randperm(count, generator=generator)
    chances = torch.from_numpy(draw_weights(source, recipe.data))
    return torch.multinomial(chances, count, replacement=True, generator=generator)


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
    counts = {label: labels.count(label) for label in sorted(set(labels))}
    if recipe.draw == "once":
        return {label: {"slices": count, "drawn": count / len(labels)} for label, count in counts.items()}
    total = sum(recipe.data.shares[label] for label in counts)
    return {label: {"slices": n, "drawn": recipe.data.shares[label] / total} for label, n in counts.items()}


def _drawn_of(recipe: Recipe, source: Slices) -> int:
    return len(source.rows) if recipe.draw == "once" else recipe.data.epoch_slices
