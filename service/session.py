"""ONNX Runtime, and nothing else of it: providers, threads, buckets, warm-up."""

import ctypes
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from service.cuda import cuda_options
from service.lone import LoneChoice

Slice = npt.NDArray[np.uint8]
"""One network input (height, width)."""
Logits = npt.NDArray[np.float32]
"""Raw outputs (N, classes)."""

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"


OUT_OF_MEMORY = re.compile("(?i)Failed to allocate memory|out of memory|smaller than requested|ALLOC_FAILED|bad_alloc")
"""How ONNX Runtime, cuDNN and cuBLAS put it: there is no class of its own for that (microsoft/onnxruntime#16307)."""


class OutOfMemory(RuntimeError):
    """A run needed more memory than there was, which may have left the session without any."""


class ProviderUnavailable(RuntimeError):
    """The execution provider that was asked for cannot be had."""


@dataclass(frozen=True)
class Plan:
    """How batches meet the machine: lanes × threads × batch size; `buckets` are the batch sizes that are run.

    A picture that has the machine to itself may get `lone_threads`, of at most `cores`; None: no more than a lane's.
    """

    provider: str
    lanes: int
    threads_per_lane: int
    max_batch_size: int
    buckets: tuple[int, ...]
    cores: int = 1
    lone_threads: int | None = None


def make_plan(
    provider: str, cpus: int, lanes: int | None = None, threads: int | None = None, max_batch_size: int | None = None
) -> Plan:
    """The best known plan for `provider`, where the arguments do not say otherwise.

    On the CPU one thread a run gives the best throughput and batching gives little, so batches are small and of any
    size; a lane more than cores works while another waits for Python's lock (GIL). A GPU takes one lane of large
    batches, padded to powers of two so that shapes stay few.
    """
    if provider == CPU:
        size, threads = max_batch_size or 2, threads or 1
        lanes = lanes or max(1, cpus // threads) + 1
        return Plan(CPU, lanes, threads, size, tuple(range(1, size + 1)), cores=min(cpus, lanes * threads))
    size = max_batch_size or 32
    powers = tuple(2**i for i in range(math.ceil(math.log2(size))))
    return Plan(provider, lanes or 1, threads or 1, size, (*powers, size))


class Session:
    """One graph on one execution provider, run by several threads at once if they like.

    It lives in memory alone: what becomes of its files afterwards does not concern it. Sessions of networks alike may
    share a `lone_choice`; one that shares none looks anew whenever it is warmed up. Raises `ProviderUnavailable` where
    ONNX Runtime silently took another provider than the plan's.
    """

    def __init__(
        self,
        path: Path,
        plan: Plan,
        logits: str = "logits",
        provider_options: Mapping[str, str] | None = None,
        lone_choice: LoneChoice | None = None,
    ) -> None:
        self.plan = plan
        self._lone_choice = lone_choice
        self._path = path
        self._logits = logits
        self._provider_options = provider_options or cuda_options()
        self._session: Any = None
        self._lone_session: Any = None
        self.open()

    def open(self) -> None:
        """Open the graph, or open it anew; the old one's memory is free once no run holds it."""
        self.close()
        self._session = self._open_with(session_options(self.plan.threads_per_lane))
        self._input = self._session.get_inputs()[0]
        self.provider: str = self._session.get_providers()[0]
        if self.provider != self.plan.provider:
            raise ProviderUnavailable(f"{self.plan.provider} was asked for, ONNX Runtime gave {self.provider}")

    def close(self) -> None:
        """Let go of the graph; nothing can be run before it is opened again."""
        self._session = self._lone_session = None
        self.plan = replace(self.plan, lone_threads=None)

    @property
    def is_open(self) -> bool:
        """Whether there is a graph to run."""
        return self._session is not None

    def run(self, slices: Sequence[Slice]) -> Logits:
        """Logits (N, classes), N at most the largest bucket; the batch is padded with black to the next bucket."""
        return self._run_on(self._session, slices)

    def run_alone(self, slices: Sequence[Slice]) -> Logits:
        """The same, soonest where nothing else runs: on as many threads as `warm_up` found to be quickest."""
        session = self._lone_session
        return self._run_on(session, slices) if session else self.run(slices)

    def warm_up(self, height: int, width: int, classes: int) -> None:
        """Run every bucket once, then find how many threads answer a lone picture soonest.

        Raises `ValueError` unless the graph takes uint8 (N, height, width) and answers (N, classes).
        """
        if (self._input.type, list(self._input.shape)[1:]) != ("tensor(uint8)", [height, width]):
            raise ValueError(
                f"the graph takes {self._input.type} {self._input.shape}, not uint8 (N, {height}, {width})"
            )
        if self._logits not in [output.name for output in self._session.get_outputs()]:
            raise ValueError(f"the graph has no output {self._logits!r}")
        for bucket in self.plan.buckets:
            shape = self.run([np.zeros((height, width), np.uint8)] * bucket).shape
            if shape != (bucket, classes):
                raise ValueError(f"the graph answers {shape}, the card says {(bucket, classes)}")
        with suppress(OutOfMemory), memory_told():  # where there is none for more, lanes answer lone pictures too
            self._choose_lone_session([np.zeros((height, width), np.uint8)])

    def _choose_lone_session(self, slices: Sequence[Slice]) -> None:
        """Keep the session of more threads that answers soonest, where it gains enough."""

        def opened(threads: int) -> Callable[[], object]:
            sessions[threads] = self._open_with(session_options(threads, spin=True))
            return partial(self._run_on, sessions[threads], slices)

        sessions: dict[int, Any] = {}
        allowed = range(self.plan.threads_per_lane + 1, self.plan.cores + 1)
        choice = self._lone_choice or LoneChoice()
        threads = choice.choose(allowed, partial(self._run_on, self._session, slices), opened)
        if threads is not None:
            self._lone_session = sessions[threads]
            self.plan = replace(self.plan, lone_threads=threads)

    def _open_with(self, options: ort.SessionOptions) -> Any:
        provider = self.plan.provider
        wanted = [CPU] if provider == CPU else [(provider, self._provider_options), CPU]
        graph = self._path.read_bytes()
        beside = weights_beside(self._path, graph)
        sizes = [len(content) for content in beside.values()]
        options.add_external_initializers_from_files_in_memory(list(beside), list(beside.values()), sizes)
        return ort.InferenceSession(graph, options, providers=wanted)

    def _run_on(self, session: Any, slices: Sequence[Slice]) -> Logits:
        with memory_told():
            (logits,) = session.run([self._logits], {self._input.name: self._padded(slices)})
        return np.asarray(logits[: len(slices)])

    def _compute(self, names: list[str], inputs: dict[str, npt.NDArray[Any]]) -> list[npt.NDArray[np.float32]]:
        """The graph's outputs; raises `OutOfMemory`, or whatever else ONNX Runtime raises."""
        with memory_told():
            outputs: list[npt.NDArray[np.float32]] = self._session.run(names, inputs)
        return outputs

    def _bucket(self, size: int) -> int:
        return next(bucket for bucket in self.plan.buckets if bucket >= size)

    def _padded(self, slices: Sequence[Slice]) -> npt.NDArray[np.uint8]:
        batch = np.zeros((self._bucket(len(slices)), *slices[0].shape), np.uint8)
        np.stack(slices, out=batch[: len(slices)])
        return batch


def session_options(threads: int, *, spin: bool = False) -> ort.SessionOptions:
    """For runs of so many threads; spinning answers a lone run sooner, and starves whoever else wants the cores."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    options.add_session_config_entry("session.force_spinning_stop", "1")  # between runs nobody spins
    options.log_severity_level = 3
    return options


@contextmanager
def memory_told() -> Iterator[None]:
    """Whatever ONNX Runtime raises within, but `OutOfMemory` where that is what it means."""
    try:
        yield
    except Exception as error:
        if isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error)):
            raise OutOfMemory from error
        raise


def weight_files(path: Path, graph: bytes) -> list[str]:
    """Names of the files beside it that a graph says hold weights of its own (ONNX external data)."""
    names = [each.name for each in path.parent.iterdir() if each != path and each.suffix in (".onnx", ".bin", ".data")]
    return [name for name in names if name.encode() in graph]


def weights_beside(path: Path, graph: bytes) -> dict[str, bytes]:
    """Those files, read once and whole.

    ONNX Runtime itself maps them: one overwritten in place would change the answers, one cut short end the process.
    """
    return {name: (path.parent / name).read_bytes() for name in weight_files(path, graph)}


def choose_provider(wanted: Literal["auto", "cuda", "cpu"]) -> str:
    """CUDA where it is built in and a driver is there, else the CPU; `cuda` raises `ProviderUnavailable` instead."""
    fault = "the CPU was asked for" if wanted == "cpu" else cuda_fault()
    if fault and wanted == "cuda":
        raise ProviderUnavailable(f"cuda was asked for: {fault}")
    return CPU if fault else CUDA


def cuda_fault() -> str | None:
    """Why CUDA cannot be used here, or None; loads the CUDA libraries of the `nvidia-*` wheels on the way."""
    if CUDA not in ort.get_available_providers():
        return "this ONNX Runtime is built without CUDA"
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver on this machine"
    ort.preload_dlls()
    return None
