"""Torch modules: backbones from timm behind the contract's uint8 input."""
