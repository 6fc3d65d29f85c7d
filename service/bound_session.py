"""A session whose input and output lie at fixed places, a pair a bucket: what a GPU needs to be fed without detours."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from service.cuda import host_buffer
from service.session import CUDA, Logits, Plan, Session, Slice, memory_told

NO_CAPTURE = "-1"
"""The graph id that keeps a run from being captured."""


@dataclass(frozen=True)
class Bound:
    """One bucket's buffers: `host` is filled, `given` is where the graph reads it, `taken` where it answers."""

    host: npt.NDArray[np.uint8]
    given: ort.OrtValue
    taken: ort.OrtValue
    binding: ort.IOBinding
    options: ort.RunOptions


@dataclass(frozen=True)
class Opened:
    """One opening of the graph with the buckets bound to it; a run that hangs keeps them, and its successors do not."""

    session: Any
    bound: dict[int, Bound] = field(default_factory=dict)
    turn: threading.Lock = field(default_factory=threading.Lock)


class BoundSession(Session):
    """Runs each bucket through buffers of its own, so that nothing is allocated and addresses never change.

    With `graphs` in the provider's options every bucket becomes one CUDA graph at its first run, which warm-up does.
    Runs take turns: a plan for this session has one lane.
    """

    def __init__(
        self, path: Path, plan: Plan, logits: str = "logits", provider_options: Mapping[str, str] | None = None
    ) -> None:
        self._graphs = "enable_cuda_graph" in (provider_options or {})
        self._device = "cuda" if plan.provider == CUDA else "cpu"
        super().__init__(path, plan, logits, provider_options)

    def open(self) -> None:
        """Open the graph, or open it anew, with buffers of its own."""
        super().open()
        self._opened: Opened | None = Opened(self._session)

    def close(self) -> None:
        """Let go of the graph and its buffers."""
        super().close()
        self._opened = None

    def run(self, slices: Sequence[Slice]) -> Logits:
        """Logits (N, classes), N at most the largest bucket; the batch is padded with black to the next bucket."""
        opened, bucket = self._opened, self._bucket(len(slices))
        if opened is None:
            raise RuntimeError("the session is closed")
        with opened.turn, memory_told():
            if bucket not in opened.bound:
                opened.bound[bucket] = self._bind(opened.session, bucket, slices[0].shape)
            bound = opened.bound[bucket]
            np.stack(slices, out=bound.host[: len(slices)])
            bound.host[len(slices) :] = 0
            return self._answer(opened.session, bound)[: len(slices)].copy()

    def _answer(self, session: Any, bound: Bound) -> Logits:
        if self._device != "cpu":
            bound.given.update_inplace(bound.host)
        session.run_with_iobinding(bound.binding, bound.options)
        return np.asarray(bound.taken.numpy())

    def _bind(self, session: Any, bucket: int, shape: tuple[int, ...]) -> Bound:
        host = host_buffer((bucket, *shape), page_locked=self._device != "cpu")
        (example,) = session.run([self._logits], {self._input.name: host}, run_options(NO_CAPTURE))
        given = ort.OrtValue.ortvalue_from_numpy(host, self._device)
        taken = ort.OrtValue.ortvalue_from_numpy(np.zeros_like(example), self._device)
        binding = session.io_binding()
        binding.bind_ortvalue_input(self._input.name, given)
        binding.bind_ortvalue_output(self._logits, taken)
        return Bound(host, given, taken, binding, run_options(str(bucket) if self._graphs else NO_CAPTURE))


def run_options(graph: str) -> ort.RunOptions:
    """Options of a run that is captured, or replayed, as the CUDA graph of this id."""
    options = ort.RunOptions()
    options.add_run_config_entry("gpu_graph_id", graph)
    return options
