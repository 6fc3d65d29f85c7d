"""Which tensors of a graph can be explained, and which are by default."""

from collections.abc import Iterator
from typing import NamedTuple

from training.errors import GradientError, UnknownLayer
from training.gradient.forward import Forward, differentiable

SIZES = {"Shape", "Size"}
"""What these give is known before the image is."""


class FeatureMap(NamedTuple):
    """A tensor (N, channels, height, width) through which everything passes that the logits know of the image."""

    tensor: str
    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.tensor} ({self.channels}, {self.height}, {self.width})"


def default_layers(forward: Forward, logits: str) -> tuple[str, ...]:
    """The last convolution's feature map as the pooling sees it, then the last one of the next finer resolution.

    One layer where no finer one holds everything. Raises `GradientError` on a graph without convolution.
    """
    maps = list(feature_maps(forward, logits))
    sizes = [forward.shape(node.outputs[0]) for node in forward.nodes_behind(logits) if node.operator == "Conv"]
    ends = [shape[2:] for shape in sizes if shape and len(shape) == 4 and shape[2:] != (1, 1)]
    last = next((found for found in reversed(maps) if ends and (found.height, found.width) == ends[-1]), None)
    if last is None:
        raise GradientError(f"no convolution with a feature map of fixed size leads to {logits!r}: name a layer")
    earlier = maps[: maps.index(last)]
    finer = [found for found in earlier if found.height > last.height and found.width > last.width]
    return (last.tensor, finer[-1].tensor) if finer else (last.tensor,)


def find_layer(forward: Forward, name: str, logits: str) -> str:
    """The tensor that `name` means: a tensor, a node, or the last node of a module of the torch network.

    Raises `UnknownLayer` with the feature maps there are.
    """
    before = forward.nodes_behind(logits)
    tensors = {output for node in before for output in node.outputs}
    if name in tensors:
        return name
    meant = [node for node in before if name == node.name] or [node for node in before if name in node.scopes]
    if meant:
        return meant[-1].outputs[0]
    known = ", ".join(str(found) for found in feature_maps(forward, logits))
    raise UnknownLayer(f"no layer is called {name!r}; there are: {known or 'none with a fixed size'}")


def feature_maps(forward: Forward, logits: str) -> Iterator[FeatureMap]:
    """The feature maps that no way from the image to the logits goes around, in the graph's order."""
    nodes = forward.nodes_behind(logits)
    last_use = {name: place for place, node in enumerate(nodes) for name in node.inputs}
    open_until, moving = 0, {value.name for value in forward.inputs}
    for place, node in enumerate(nodes):
        if not moving & set(node.inputs):
            continue
        moving |= set(node.outputs) if node.operator not in SIZES else set()
        if open_until <= place and (found := _feature_map(forward, node.outputs[0])):
            yield found
        open_until = max(open_until, *(last_use.get(name, 0) for name in node.outputs if name in moving), 0)


def _feature_map(forward: Forward, tensor: str) -> FeatureMap | None:
    sizes = tuple(size for size in (forward.shape(tensor) or ())[1:] if isinstance(size, int))
    return FeatureMap(tensor, *sizes) if len(sizes) == 3 and differentiable(forward, tensor) else None
