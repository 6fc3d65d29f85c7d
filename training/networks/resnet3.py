"""ResNet3: a stem, three residual blocks and global pooling."""

from torch import Tensor, nn

WIDTHS = (32, 64, 128)


class ResNet3(nn.Module):
    """Three residual blocks (He et al. 2016, fig. 2 with the shortcut of eq. 2), each halving the side."""

    num_features = WIDTHS[-1]

    def __init__(self) -> None:
        super().__init__()
        stem = (nn.Conv2d(3, WIDTHS[0], 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU())
        self.stem = nn.Sequential(*stem)
        befores = (WIDTHS[0], *WIDTHS[:-1])
        self.blocks = nn.Sequential(*(Residual(*ends) for ends in zip(befores, WIDTHS, strict=True)))

    def forward_features(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, h, w) to the map (N, 128, h/16, w/16)."""
        features: Tensor = self.blocks(self.stem(pictures))
        return features

    def forward_head(self, features: Tensor) -> Tensor:
        """The map's mean (N, 128)."""
        return features.mean((2, 3))


class Residual(nn.Module):
    """Two 3×3 convolutions beside a 1×1 shortcut."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.ahead = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip
        shortcut = (nn.Conv2d(before, after, 1, stride=2, bias=False), nn.BatchNorm2d(after))
        self.shortcut = nn.Sequential(*shortcut)
        self.last = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """A map (N, before, h, w) to (N, after, h/2, w/2)."""
        joined: Tensor = self.last(self.ahead(features) + self.shortcut(features))
        return joined
