"""ONNX Runtime, and nothing else of it: providers, threads, buckets, warm-up."""

import ctypes
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

Slice = npt.NDArray[np.uint8]
"""One network input (height, width)."""
Logits = npt.NDArray[np.float32]
"""Raw outputs (N, classes)."""

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
CUDA_OPTIONS = {
    "cudnn_conv_algo_search": "HEURISTIC",  # EXHAUSTIVE tunes again on every new shape
    "arena_extend_strategy": "kSameAsRequested",  # the arena never shrinks, so it should not double either
    "use_tf32": "0",  # golden answers come from float32
}


LONE_THREADS = (2, 4, 8)
"""What a lone run may take; a network this small gains nothing from more."""
LONE_GAIN = 0.9
"""Share of a lane's time below which a run on more threads is worth a second copy of the weights."""
LONE_TRIALS = 7


class ProviderUnavailable(RuntimeError):
    """The execution provider that was asked for cannot be had."""


@dataclass(frozen=True)
class Plan:
    """How batches meet the machine: lanes × threads × batch size; `buckets` are the batch sizes that are run.

    `lone_threads`, of at most `cores`, serve a picture that has the machine to itself; None: those of a lane.
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

    On the CPU a lane a core with one thread each gives the best throughput and batching gives little, so batches
    are small and of any size; a GPU takes one lane of large batches, padded to powers of two so that shapes stay few.
    """
    if provider == CPU:
        size, threads = max_batch_size or 2, threads or 1
        lanes = lanes or max(1, cpus // threads)
        return Plan(CPU, lanes, threads, size, tuple(range(1, size + 1)), cores=min(cpus, lanes * threads))
    size = max_batch_size or 32
    powers = tuple(2**i for i in range(math.ceil(math.log2(size))))
    return Plan(provider, lanes or 1, threads or 1, size, (*powers, size))


class Session:
    """One graph on one execution provider, run by several threads at once if they like.

    Raises `ProviderUnavailable` where ONNX Runtime silently took another provider than the plan's.
    """

    def __init__(self, path: Path, plan: Plan, logits: str = "logits") -> None:
        self._path = path
        self.plan = plan
        self._session = self._open(plan.threads_per_lane)
        self._lone_session: ort.InferenceSession | None = None
        self._input = self._session.get_inputs()[0]
        self._logits = logits
        self.provider: str = self._session.get_providers()[0]
        if self.provider != plan.provider:
            raise ProviderUnavailable(f"{plan.provider} was asked for, ONNX Runtime gave {self.provider}")

    def run(self, slices: Sequence[Slice]) -> Logits:
        """Logits (N, classes), N at most the largest bucket; the batch is padded with black to the next bucket."""
        return self._logits_of(self._session, slices)

    def run_alone(self, slices: Sequence[Slice]) -> Logits:
        """The same, soonest where nothing else runs: on as many threads as `warm_up` found to be quickest."""
        return self._logits_of(self._lone_session, slices) if self._lone_session else self.run(slices)

    def warm_up(self, height: int, width: int, classes: int) -> None:
        """Run every bucket once, then find out how many threads a lone run is best given.

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
        self._choose_lone_session([np.zeros((height, width), np.uint8)])

    def _choose_lone_session(self, slices: Sequence[Slice]) -> None:
        """Keep the session of more threads that answers soonest, where it gains enough."""
        choices = [threads for threads in LONE_THREADS if self.plan.threads_per_lane < threads <= self.plan.cores]
        if self.plan.provider != CPU or not choices:
            return
        sessions = {threads: self._open(threads, spin=True) for threads in choices}
        lane, *lone = self._shortest([self._session, *sessions.values()], slices)
        quickest = choices[int(np.argmin(lone))]
        if min(lone) < LONE_GAIN * lane:
            self._lone_session = sessions[quickest]
            self.plan = replace(self.plan, lone_threads=quickest)

    def _shortest(self, sessions: Sequence[ort.InferenceSession], slices: Sequence[Slice]) -> list[float]:
        """Each session's shortest run of some that take turns, in seconds: a busy neighbour only ever adds to one."""
        runs = [[self._seconds(session, slices) for session in sessions] for _ in range(LONE_TRIALS)]
        return [min(turns) for turns in zip(*runs, strict=True)]

    def _seconds(self, session: ort.InferenceSession, slices: Sequence[Slice]) -> float:
        started = time.perf_counter()
        self._logits_of(session, slices)
        return time.perf_counter() - started

    def _open(self, threads: int, *, spin: bool = False) -> ort.InferenceSession:
        provider = self.plan.provider
        wanted = [CPU] if provider == CPU else [(provider, CUDA_OPTIONS), CPU]
        return ort.InferenceSession(self._path, session_options(threads, spin=spin), providers=wanted)

    def _logits_of(self, session: ort.InferenceSession, slices: Sequence[Slice]) -> Logits:
        (logits,) = session.run([self._logits], {self._input.name: self._padded(slices)})
        return np.asarray(logits[: len(slices)])

    def _padded(self, slices: Sequence[Slice]) -> npt.NDArray[np.uint8]:
        size = next(bucket for bucket in self.plan.buckets if bucket >= len(slices))
        batch = np.zeros((size, *slices[0].shape), np.uint8)
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
