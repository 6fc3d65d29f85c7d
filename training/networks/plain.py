"""Networks of convolutions, poolings and dense layers alone, as the earlier projects built theirs by hand."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

SHAPES: dict[str, tuple[tuple[tuple[int, ...], ...], tuple[int, ...], bool]] = {
    "sequential_1": (((16,), (32,)), (64,), False),
    "sequential_2": (((16,), (32,), (64,)), (64,), False),
    "sequential_3": (((32,), (64,)), (128,), False),
    "sequential_4": (((32,), (64,), (128,)), (128,), False),
    "cnn9": (((32, 32), (64, 64), (128, 128)), (256, 64), False),
    "tuned_cnn": (((16,), (32,), (64,)), (64, 16), True),
}
"""By name: channels of each block's convolutions, width of each dense layer, whether those have batch norm.

The classifier's own linear layer comes on top: `cnn9` has nine layers with it.
"""


class PlainNetwork(nn.Module):
    """Blocks of 3×3 convolutions with a 2×2 max-pooling behind each, then dense layers on the flattened map.

    Its weights belong to one `size`: a picture of another side does not fit the first dense layer.
    """

    def __init__(self, size: int, blocks: Sequence[Sequence[int]], dense: Sequence[int], *, norm: bool = False) -> None:
        super().__init__()
        self.size = size
        widths = (3, *(width for block in blocks for width in block))
        convolutions = iter([_convolution(*ends) for ends in pairwise(widths)])
        parts = [nn.Sequential(*(next(convolutions) for _ in block)) for block in blocks]
        self.blocks = nn.ModuleList(parts)
        self.pool = nn.MaxPool2d(2)
        side = size // 2 ** len(blocks)
        ends = pairwise((widths[-1] * side * side, *dense))
        self.dense = nn.Sequential(*(_dense(*each, norm=norm) for each in ends))
        self.num_features = dense[-1]

    @property
    def channels(self) -> int:
        """Channels of the last map."""
        return [part.out_channels for part in self.blocks.modules() if isinstance(part, nn.Conv2d)][-1]

    def forward_features(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, size, size) to the last map before its pooling."""
        features: Tensor = self.blocks[0](pictures)
        for block in self.blocks[1:]:
            features = block(self.pool(features))
        return features

    def forward_head(self, features: Tensor) -> Tensor:
        """The last map to the last dense layer (N, num_features)."""
        embedding: Tensor = self.dense(self.pool(features).flatten(1))
        return embedding


def _convolution(before: int, after: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.ReLU())


def _dense(before: int, after: int, *, norm: bool) -> nn.Module:
    middle = [nn.BatchNorm1d(after)] if norm else []
    return nn.Sequential(nn.Linear(before, after), *middle, nn.ReLU())
