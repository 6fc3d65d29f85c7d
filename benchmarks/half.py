"""A bundle's network in float16, as a bundle of its own that must give the float32 network's golden answers.

    python -m benchmarks.half models/brain-mri-efficientnet-lite0/2 /tmp/models

Writes `/tmp/models/<name>-fp16/<version>/` and holds it to its golden answers on the provider chosen, as the service
does before it serves a bundle; input stays uint8, logits float32. It explains nothing: gradients want float32.
"""

import argparse
import hashlib
import shutil
from pathlib import Path

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

from service.bound_session import BoundSession
from service.contract.card import CARD_FILE, GOLDEN_FILE, MODEL_FILE, Card, read_card
from service.repository import BrokenBundle, proven
from service.session import choose_provider, make_plan


def main() -> None:
    """Write the bundle and say whether it may serve here."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("--provider", default="auto", choices=["auto", "cuda", "cpu"])
    chosen = parser.parse_args()
    folder = halve(chosen.bundle.resolve(), chosen.models)
    print(f"{folder}: {verdict(folder, choose_provider(chosen.provider))}")


def halve(bundle: Path, models: Path) -> Path:
    """The folder of the float16 bundle made of `bundle` below `models`."""
    card = read_card(bundle)
    folder = models / f"{card.name}-fp16" / str(card.version)
    folder.mkdir(parents=True, exist_ok=True)
    model = convert_float_to_float16(onnx.load(bundle / MODEL_FILE), keep_io_types=True)
    onnx.save(model, folder / MODEL_FILE)
    shutil.copy(bundle / GOLDEN_FILE, folder)
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (MODEL_FILE, GOLDEN_FILE)}
    fields = card.model_dump() | {
        "name": folder.parent.name,
        "files": files,
        "explain": None,
        "change": f"{card.name} version {card.version} in float16.",
    }
    (folder / CARD_FILE).write_text(Card.model_validate(fields).model_dump_json(indent=2))
    return folder


def verdict(folder: Path, provider: str) -> str:
    """Whether the bundle gives its golden answers on this provider."""
    card = read_card(folder)
    try:
        proven(BoundSession(folder / MODEL_FILE, make_plan(provider, 1), card.outputs.logits), folder, card)
    except (BrokenBundle, ValueError) as error:
        return f"REFUSED: {error}"
    return "gives its golden answers"


if __name__ == "__main__":
    main()
