"""What the network alone gives on a GPU: images a second by batch and precision, and the share of the card's limit.

    python -m benchmarks.gpu models/brain-mri-efficientnet-lite0/2 --seconds 2      (--provider cpu: a rehearsal)

Each line is one way to run one batch size: convolution search heuristic or exhaustive, with and without CUDA graphs.
The limit is measured, not quoted: the floating-point operations a second of one large matrix product on the same
provider and precision. What a way cannot do is said in its line and costs the others nothing.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper, shape_inference

from benchmarks.half import halve, verdict
from service.bound_session import BoundSession, run_options
from service.contract.card import GOLDEN_FILE, MODEL_FILE, Card, read_card
from service.cuda import Search, cuda_options, host_buffer, page_lock
from service.explain_session import PREDICTED, ExplainSession, Question
from service.session import CPU, Plan, Slice, choose_provider, cuda_fault, make_plan

BATCHES = (1, 8, 32, 64, 128, 256)
SIDES = {False: 8192, True: 1024}
"""Side of the matrix product that stands for the limit; the smaller one for a rehearsal on a CPU."""
ONNX_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--provider", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each line")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    chosen = parser.parse_args()
    provider = choose_provider(chosen.provider)
    print(f"ONNX Runtime {ort.__version__}, {provider}; {cuda_fault() or 'CUDA is there'}")
    print(f"host buffers are page-locked: {provider != CPU and page_lock(host_buffer((4096,), page_locked=False))}")
    with tempfile.TemporaryDirectory() as folder:
        measure(chosen.bundle.resolve(), Path(folder), provider, chosen.seconds, chosen.batches)
    explain_cost(chosen.bundle.resolve(), provider, chosen.seconds)


def measure(bundle: Path, folder: Path, provider: str, seconds: float, batches: list[int]) -> None:
    """Images a second of every precision, way and batch size."""
    half = halve(bundle, folder)
    print(f"float16: {verdict(half, provider)}")
    operations = operations_an_image(bundle / MODEL_FILE)
    print(f"{operations / 1e9:.3f} GFLOP an image (convolutions and products)")
    for precision, place in (("float32", bundle), ("float16", half)):
        limit = limit_of(folder, provider, precision, seconds)
        print(f"{precision}: one product of {SIDES[provider == CPU]} gives {limit / 1e12:.2f} TFLOP/s")
        for size, (search, graphs) in product(batches, ways(provider)):
            rate, says = rate_of(place, provider, size, search, graphs=graphs, seconds=seconds)
            share = rate * operations / limit
            way = f"{search:10s} {'graph' if graphs else 'plain'}"
            print(f"{precision} batch {size:4d} {way}: {rate:9.0f} img/s, {share:6.1%} of the limit {says}", flush=True)


def ways(provider: str) -> list[tuple[Search, bool]]:
    """Convolution search and graphs; on a CPU there is one way."""
    if provider == CPU:
        return [("heuristic", False)]
    return [("heuristic", False), ("heuristic", True), ("exhaustive", False), ("exhaustive", True)]


def rate_of(
    bundle: Path, provider: str, size: int, search: Search, *, graphs: bool, seconds: float
) -> tuple[float, str]:
    """Images a second, copies to and from the card included, and the first run's time; 0 and why where it cannot."""
    slices = golden(bundle, size)
    plan = Plan(provider, 1, 1, size, (size,))
    try:
        session = BoundSession(bundle / MODEL_FILE, plan, "logits", cuda_options(search, graphs=graphs))
        started = time.perf_counter()
        session.run(slices)
        first = time.perf_counter() - started
        runs = list(timed(lambda: session.run(slices), seconds))
    except Exception as error:  # noqa: BLE001 - whatever one way raises is its line
        return 0.0, f"({type(error).__name__}: {str(error).splitlines()[0][:120]})"
    return size / statistics.median(runs), f"(first run {first:.2f} s)"


def timed(work: Callable[[], object], seconds: float) -> Iterator[float]:
    """Seconds of each run, for at least three runs and `seconds`."""
    end, count = time.perf_counter() + seconds, 0
    while count < 3 or time.perf_counter() < end:
        started = time.perf_counter()
        work()
        yield time.perf_counter() - started
        count += 1


def golden(bundle: Path, count: int) -> list[Slice]:
    """As many slices as asked for, the golden ones again and again."""
    with np.load(bundle / GOLDEN_FILE) as held:
        images = held["images"]
    return [images[place % len(images)] for place in range(count)]


def limit_of(folder: Path, provider: str, precision: str, seconds: float) -> float:
    """Floating-point operations a second of one square product, its operands on the card."""
    side, kind = SIDES[provider == CPU], np.dtype(precision)
    weights = numpy_helper.from_array(np.random.default_rng(0).random((side, side)).astype(kind), "weights")
    tensors = [helper.make_tensor_value_info(name, ONNX_TYPES[precision], [side, side]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "weights"], ["y"])], "product", tensors[:1],
                              tensors[1:], [weights])  # fmt: skip
    path = folder / f"product-{precision}.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    providers = [CPU] if provider == CPU else [(provider, cuda_options()), CPU]
    session = ort.InferenceSession(path, providers=providers)
    binding, device = session.io_binding(), "cpu" if provider == CPU else "cuda"
    operand = np.ones((side, side), kind)
    for name, bind in (("x", binding.bind_ortvalue_input), ("y", binding.bind_ortvalue_output)):
        bind(name, ort.OrtValue.ortvalue_from_numpy(operand.copy(), device))
    options = run_options("-1")
    session.run_with_iobinding(binding, options)
    return float(2 * side**3 / min(timed(lambda: session.run_with_iobinding(binding, options), seconds)))


def operations_an_image(path: Path) -> float:
    """Floating-point operations of the graph's convolutions and products for one image."""
    model = onnx.load(path)
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = 1
    graph = shape_inference.infer_shapes(model).graph
    weights = {each.name: list(each.dims) for each in graph.initializer}
    shapes = {each.name: [dim.dim_value for dim in each.type.tensor_type.shape.dim]
              for each in (*graph.value_info, *graph.output)}  # fmt: skip
    total = 0.0
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul") and node.input[1] in weights and node.output[0] in shapes:
            kernel, outputs = weights[node.input[1]], float(np.prod(shapes[node.output[0]]))
            inputs = np.prod(kernel[1:]) if node.op_type == "Conv" else np.prod(kernel) / shapes[node.output[0]][-1]
            total += 2 * outputs * float(inputs)
    return total


def explain_cost(bundle: Path, provider: str, seconds: float) -> None:
    """An explain run's time beside a plain run's, a layer each."""
    card: Card = read_card(bundle)
    plan = make_plan(provider, 1, lanes=1, threads=1, max_batch_size=4)
    slices = golden(bundle, 4)
    plain = BoundSession(bundle / MODEL_FILE, plan, card.outputs.logits)
    base = statistics.median(timed(lambda: plain.run(slices), seconds))
    for layer, name in (card.explain.layers if card.explain else {}).items():
        session = ExplainSession(bundle / name, plan, layer, card.outputs.logits)
        questions = [Question(pixels, PREDICTED, layer) for pixels in slices]
        run = partial(session.explain, questions)
        run()
        cost = statistics.median(timed(run, seconds))
        print(f"explain {layer}, batch 4: {cost * 1000:.2f} ms, {cost / base:.2f} times a prediction")


if __name__ == "__main__":
    main()
