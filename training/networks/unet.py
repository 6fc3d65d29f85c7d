"""A U-Net whose encoder also classifies: segmentation_models_pytorch's decoder, the class head on the deepest map."""

from typing import Any, cast

from torch import Tensor, nn

from training.networks import torchvision_schema  # noqa: F401 - must come before segmentation_models_pytorch

import segmentation_models_pytorch as smp  # isort: skip


class UNet(nn.Module):
    """Ronneberger et al. 2015, with an encoder by segmentation_models_pytorch's name (`tu-…` for any of timm's).

    Both sides of a picture must be multiples of 32. Classifying alone leaves the decoder out.
    """

    def __init__(self, encoder: str) -> None:
        super().__init__()
        whole = cast("Any", smp.Unet(encoder, encoder_weights=None, in_channels=3, classes=1))
        self.encoder, self.decoder, self.drawn = whole.encoder, whole.decoder, whole.segmentation_head
        self.num_features = int(self.encoder.out_channels[-1])

    def forward_features(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, h, w) to the encoder's deepest map (N, num_features, h/32, w/32)."""
        deepest: Tensor = self.encoder(pictures)[-1]
        return deepest

    def forward_head(self, features: Tensor) -> Tensor:
        """The deepest map's mean (N, num_features)."""
        return features.mean((2, 3))

    def with_mask(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """The deepest map, and the logit of a tumour at every pixel (N, 1, h, w)."""
        maps = self.encoder(pictures)
        return maps[-1], self.drawn(self.decoder(maps))
