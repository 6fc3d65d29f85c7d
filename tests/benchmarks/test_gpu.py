from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu import limit_of, operations_an_image, rate_of
from benchmarks.half import halve, verdict
from service.contract.card import read_card
from service.session import CPU
from tests.bundles import CLASSES, NAME, SIZE
from tests.explainable import KERNELS, draw_weights, write_explainable_bundle, write_graph


def test_a_float16_bundle_is_one_of_its_own_and_held_to_the_float32_golden_answers(tmp_path: Path) -> None:
    bundle = write_explainable_bundle(tmp_path / "models")
    half = halve(bundle, tmp_path / "models")
    card = read_card(half)
    assert (card.name, card.version, card.explain) == (f"{NAME}-fp16", 1, None)
    with np.load(half / "golden.npz") as golden:
        images, logits = golden["images"], golden["logits"]
    np.savez(half / "golden.npz", images=images, logits=logits[::-1])
    assert verdict(half, CPU).startswith("REFUSED: golden answers differ")


def test_a_float16_network_that_keeps_its_answers_may_serve(tmp_path: Path) -> None:
    half = halve(write_explainable_bundle(tmp_path / "models"), tmp_path / "models")
    assert verdict(half, CPU) == "gives its golden answers"


def test_operations_are_those_of_convolutions_and_products(tmp_path: Path) -> None:
    write_graph(tmp_path / "model.onnx", draw_weights())
    convolution = 2 * KERNELS * SIZE * SIZE * 9
    assert operations_an_image(tmp_path / "model.onnx") == convolution + 2 * KERNELS * len(CLASSES)


def test_every_line_of_the_gpu_benchmark_works_on_the_cpu_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.gpu.SIDES", {True: 16, False: 16})
    bundle = write_explainable_bundle(tmp_path / "models")
    rate, says = rate_of(bundle, CPU, 4, "exhaustive", graphs=False, seconds=0.01)
    assert rate > 0
    assert "first run" in says
    assert limit_of(tmp_path, CPU, "float32", 0.01) > 0
    (bundle / "model.onnx").write_bytes(b"cut off")
    assert rate_of(bundle, CPU, 4, "heuristic", graphs=True, seconds=0.01)[0] == 0
