"""`python -m training explainable`: make any ONNX classifier explainable."""

from pathlib import Path
from typing import Annotated

import typer

from training.gradient.files import read_layers, write_explain
from training.line import say

ModelFile = Annotated[Path, typer.Argument(help="An ONNX classifier of one image input.", exists=True, dir_okay=False)]
Layers = Annotated[
    list[str] | None,
    typer.Option("--layer", help="Tensor, node or module; may be repeated. By default the last feature map and the "
                                 "last one of the next finer resolution."),
]  # fmt: skip
Out = Annotated[Path | None, typer.Option(help="The graph to write; explain.onnx beside the model if left out.")]


def explainable(model: ModelFile, layer: Layers = None, out: Out = None) -> None:
    """Derive a graph that also gives the activations and gradients of layers: explain.onnx."""
    path = write_explain(model, layer or (), out)
    say(f"explainable → {path}: {path.stat().st_size / 1e6:.2f} MB")
    for name in read_layers(path):
        say(f"  layer {name}", markup=False)
