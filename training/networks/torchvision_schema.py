"""Declare torchvision's missing operators, so that timm imports beside a torch built without them.

PyPI's torchvision carries operators compiled for PyPI's CUDA torch. Beside a CPU build of torch they do
not load, and torchvision's import dies at `operator torchvision::nms does not exist`. We use none of these
operators: declaring the two schemas it looks for lets it import. Import this module before timm.
"""

import importlib.util
from pathlib import Path

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def declare_missing() -> torch.library.Library | None:
    """Declare the schemas where torchvision's compiled operators cannot load; keep what is returned alive."""
    if _compiled_operators_load():
        return None
    library = torch.library.Library("torchvision", "DEF")
    for schema in SCHEMAS:
        library.define(schema)
    return library


def _compiled_operators_load() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    try:
        torch.ops.load_library(Path(spec.origin).with_name("_C.so"))
    except OSError:
        return False
    return True


LIBRARY = declare_missing()
