"""Torch modules: backbones of timm, segmentation_models_pytorch and our own behind the contract's uint8 input."""
