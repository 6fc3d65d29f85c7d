"""How far this machine's answers lie from a bundle's golden ones, in probability.

    python -m benchmarks.golden models/brain-mri-efficientnet-lite0-int8/1
    qemu-x86_64-static -cpu max "$(readlink -f .venv/bin/python)" -m benchmarks.golden … with PYTHONPATH=.venv/lib/…

The second line is another machine: an x86-64 with AVX2, without AVX-512 and VNNI, emulated. Printed are the answers of
ONNX Runtime as the service runs it, and with its optimisations off: then integers are computed in float, as GPUs do.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime

from service.contract.card import GOLDEN_FILE, MODEL_FILE, read_card
from service.contract.probabilities import probabilities

LEVELS = {
    "as it serves": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "optimisations off": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}


def main(bundle: Path) -> None:
    """Measure and print."""
    card = read_card(bundle.resolve())
    with np.load(bundle / GOLDEN_FILE) as golden:
        images, wanted = golden["images"], probabilities(golden["logits"], card.temperature)
    for name, level in LEVELS.items():
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(bundle / MODEL_FILE, options, providers=["CPUExecutionProvider"])
        (logits,) = session.run([card.outputs.logits], {"image": images})
        difference = np.abs(probabilities(logits, card.temperature) - wanted).max()
        print(f"{card.name}/{card.version} ({card.precision}) {name}: {difference:.2g}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
