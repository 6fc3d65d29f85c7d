"""Each operator's gradient in ONNX Runtime against torch's autograd in float64."""

from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper
from torch import Tensor

from tests.training.gradient.cases import CASES, Case, draw, ints, tensor
from tests.training.gradient.graphs import TARGETS, Array, classifier, features_of, run, torch_gradient
from training.errors import NoRule
from training.gradient.explain import explain_graph
from training.gradient.rules import BY_ANY, BY_DATA

POSITIVE = [
    helper.make_node("Mul", ["layer", "layer"], ["square"]),
    helper.make_node("Add", ["square", "one"], ["squares"]),
]
"""Squares of the layer plus one, for functions of positive numbers."""


def gradients(case: Case, image: Array, features: int) -> Array:
    names = [f"c{position}" for position in range(len(case.constants))]
    node = helper.make_node(case.operator, list(case.inputs or ["layer", *names]), ["y"], "tested", **case.attributes)
    constants = dict(zip(names, map(np.asarray, case.constants), strict=True))
    nodes = [*POSITIVE, node] if case.inputs == ["squares"] else [node]
    constants |= {"one": np.array(1, np.float32)}
    explain = explain_graph(classifier(nodes, constants, case.shape, features), ["layer"])
    return run(explain, {"image": image, "target": TARGETS})["gradients:layer"]


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_torchs(name: str) -> None:
    case = CASES[name]
    image = np.random.default_rng(7).normal(size=(len(TARGETS), *case.shape)).astype(np.float32)
    wanted = torch_gradient(case.function, image)
    got = gradients(case, image, features_of(case.function, case.shape))
    assert np.abs(got - wanted).max() <= 1e-5 * max(np.abs(wanted).max(), 1)


@pytest.mark.parametrize("name", ["max pool", "max pool apart", "max pool dilated"])
def test_of_equal_maxima_the_first_gets_the_gradient(name: str) -> None:
    case = CASES[name]
    image = np.maximum(np.random.default_rng(8).integers(-3, 3, (len(TARGETS), *case.shape)), 0).astype(np.float32)
    wanted = torch_gradient(case.function, image)
    got = gradients(case, image, features_of(case.function, case.shape))
    assert got == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("across", [0, 1])
@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_gemm_in_all_its_forms(across: int, turned: int, place: int) -> None:
    matrices = [tensor(draw(3, 3)) for _ in range(3)]

    def gemm(x: Tensor) -> Tensor:
        a, b, c = (x if position == place else matrix for position, matrix in enumerate(matrices))
        return 0.5 * (a.T if across else a) @ (b.T if turned else b) + 2 * c

    inputs = ["layer" if position == place else f"c{position}" for position in range(3)]
    attributes = {"alpha": 0.5, "beta": 2.0, "transA": across, "transB": turned}
    constants = [matrix.numpy().astype(np.float32) for matrix in matrices]
    image = draw(3, 3)
    got = gradients(Case("Gemm", attributes, constants, gemm, (3,), inputs), image, features=3)
    assert got == pytest.approx(torch_gradient(gemm, image), abs=1e-5)


def test_every_part_of_a_split_counts() -> None:
    nodes = [
        helper.make_node("Split", ["layer"], ["a", "b", "c"], axis=1, num_outputs=3),
        helper.make_node("Mul", ["a", "c"], ["y"]),
    ]
    image = draw(3, 6, 2, 2)
    explain = explain_graph(classifier(nodes, {}, (6, 2, 2), 8), ["layer"])
    got = run(explain, {"image": image, "target": TARGETS})["gradients:layer"]
    assert got == pytest.approx(torch_gradient(lambda x: x[:, :2] * x[:, 4:], image), abs=1e-5)


REFUSED: dict[str, tuple[dict[str, Any], list[Array], str]] = {
    "Round": ({}, [], "there is no rule for this operator"),
    "Slice": ({}, [ints(0), ints(6), ints(2), ints(2)], "its steps are not 1"),
    "Pad": ({"mode": "reflect"}, [ints(0, 0, 1, 1, 0, 0, 1, 1)], "its mode is reflect"),
    "MaxPool": ({"kernel_shape": [2, 2], "storage_order": 1}, [], "its indices are column-major"),
}


@pytest.mark.parametrize("operator", REFUSED)
def test_what_has_no_rule_is_named(operator: str) -> None:
    attributes, constants, reason = REFUSED[operator]
    case = Case(operator, attributes, constants, torch.clone)
    with pytest.raises(NoRule, match=rf"no gradient passes {operator} \(node 'tested'\).*'logits': {reason}"):
        gradients(case, draw(3, 4, 6, 7), features=168)


def test_every_rule_is_tested() -> None:
    tested = {case.operator for case in CASES.values()} | {"Gemm", "Split"}
    assert set(BY_ANY) | set(BY_DATA) == tested
