"""The derived graph against two that owe it nothing: captum's Grad-CAM, and a graph that torch traced backwards."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn
from torch._decomp import core_aten_decompositions
from torch.fx.experimental.proxy_tensor import make_fx

from service.contract.cam import grad_cam
from service.contract.card import InputSpec
from tests.training.gradient.graphs import Array, run
from tests.training.gradient.networks import logits_of, refer, trace
from training.data.index import read_index
from training.data.slices import load_slices
from training.gradient.explain import explain_graph
from training.gradient.forward import Forward
from training.gradient.layers import default_layers
from training.networks.classifier import IMAGENET_MEAN, IMAGENET_STD, Classifier

SIZE = 64
SLICES = np.random.default_rng(4).integers(0, 256, (8, SIZE, SIZE), np.uint8)
TARGETS = np.array([0, 1, 2, 3, 3, 2, 1, 0])
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def network() -> Classifier:
    torch.manual_seed(2)
    return Classifier("tf_efficientnet_lite0", 4).eval()


def explained(network: nn.Module, size: int) -> tuple[onnx.ModelProto, str]:
    graph = trace(network, size)
    layer = default_layers(Forward(graph), "logits")[0]
    return explain_graph(graph, [layer]), layer


def difference(ours: Array, theirs: Array) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def test_grad_cam_of_the_graph_is_captums(network: Classifier) -> None:
    graph, layer = explained(network, SIZE)
    got = run(graph, {"image": SLICES, "target": TARGETS})
    pairs = zip(got[f"activations:{layer}"], got[f"gradients:{layer}"], strict=True)
    ours = np.stack([grad_cam(*pair) for pair in pairs])
    captum = LayerGradCam(lambda slices: logits_of(network, slices), network.get_submodule("backbone.bn2"))
    theirs = captum.attribute(torch.from_numpy(SLICES), target=torch.from_numpy(TARGETS), relu_attributions=True)
    assert difference(ours, theirs.detach().numpy()[:, 0]) <= TOLERANCE


def test_the_graph_agrees_with_one_that_torch_traced_backwards(network: Classifier) -> None:
    graph, layer = explained(network, SIZE)
    traced = trace_backwards(network)
    for size in (1, 3, 8):
        ours = run(graph, {"image": SLICES[:size], "target": TARGETS[:size]})
        theirs = run(traced, {"image": SLICES[:size], "target": TARGETS[:size]})
        for name in ("logits", f"activations:{layer}", f"gradients:{layer}"):
            assert difference(ours[name], theirs[name.partition(":")[0]]) <= TOLERANCE


def trace_backwards(network: Classifier) -> onnx.ModelProto:
    """Logits, activations and gradients of the last feature map, by torch's own tracing of its autograd."""

    def answer(image: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        kept: list[Tensor] = []
        hook = network.get_submodule("backbone.bn2").register_forward_hook(lambda *each: kept.append(each[2]))
        logits = logits_of(network, image)
        hook.remove()
        (gradient,) = torch.autograd.grad(logits.gather(1, target[:, None]).sum(), kept[0])
        return logits.detach(), kept[0].detach(), gradient

    examples = (torch.zeros(3, SIZE, SIZE, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about itself
        tracer = make_fx(
            answer, dict(core_aten_decompositions().items()), tracing_mode="symbolic", _allow_non_fake_inputs=True
        )
        size = torch.export.Dim("N")
        program = torch.onnx.export(
            tracer(*examples), examples, input_names=["image", "target"],
            output_names=["logits", "activations", "gradients"], dynamic_shapes=({0: size}, {0: size}),
            opset_version=20, dynamo=True, verbose=False,
        )  # fmt: skip
    assert program is not None
    return program.model_proto


def test_on_real_slices_the_gradient_is_torchs(network: Classifier, shared_data: Path, tmp_path: Path) -> None:
    names = ("glioma", "meningioma", "no_tumor", "pituitary")
    rows = read_index(shared_data / "index.csv", ["figshare"])[::400]
    spec = InputSpec(height=224, width=224, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    slices = load_slices(rows, shared_data, spec, names, tmp_path)
    graph, layer = explained(network, 224)
    targets = np.arange(len(rows)) % 5 - 1
    got = run(graph, {"image": np.ascontiguousarray(slices.pixels), "target": targets})
    wanted = refer(network, network.get_submodule("backbone.bn2"), np.array(slices.pixels), targets)
    network.float()
    assert difference(got["logits"], wanted.logits) <= TOLERANCE
    assert difference(got[f"activations:{layer}"], wanted.activations) <= TOLERANCE
    assert difference(got[f"gradients:{layer}"], wanted.gradients) <= TOLERANCE
