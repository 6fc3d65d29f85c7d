"""A session whose input and output lie at fixed places, a pair a bucket: what a GPU needs to be fed without detours."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from service.cuda import host_buffer
from service.session import CUDA, Logits, Plan, Session, Slice

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


class BoundSession(Session):
    """Runs each bucket through buffers of its own, so that nothing is allocated and addresses never change.

    With `graphs` in the provider's options every bucket becomes one CUDA graph at its first run, which warm-up does.
    Runs take turns: a plan for this session has one lane.
    """

    def __init__(
        self, path: Path, plan: Plan, logits: str = "logits", provider_options: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(path, plan, logits, provider_options)
        self._graphs = "enable_cuda_graph" in (provider_options or {})
        self._device = "cuda" if self.provider == CUDA else "cpu"
        self._bound: dict[int, Bound] = {}
        self._turn = threading.Lock()

    def run(self, slices: Sequence[Slice]) -> Logits:
        """Logits (N, classes), N at most the largest bucket; the batch is padded with black to the next bucket."""
        bucket = self._bucket(len(slices))
        with self._turn:
            if bucket not in self._bound:
                self._bound[bucket] = self._bind(bucket, slices[0].shape)
            bound = self._bound[bucket]
            np.stack(slices, out=bound.host[: len(slices)])
            bound.host[len(slices) :] = 0
            return self._answer(bound)[: len(slices)].copy()

    def _answer(self, bound: Bound) -> Logits:
        if self._device != "cpu":
            bound.given.update_inplace(bound.host)
        self._session.run_with_iobinding(bound.binding, bound.options)
        return np.asarray(bound.taken.numpy())

    def _bind(self, bucket: int, shape: tuple[int, ...]) -> Bound:
        host = host_buffer((bucket, *shape), page_locked=self._device != "cpu")
        (example,) = self._session.run([self._logits], {self._input.name: host}, run_options(NO_CAPTURE))
        given = ort.OrtValue.ortvalue_from_numpy(host, self._device)
        taken = ort.OrtValue.ortvalue_from_numpy(np.zeros_like(example), self._device)
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self._input.name, given)
        binding.bind_ortvalue_output(self._logits, taken)
        return Bound(host, given, taken, binding, run_options(str(bucket) if self._graphs else NO_CAPTURE))


def run_options(graph: str) -> ort.RunOptions:
    """Options of a run that is captured, or replayed, as the CUDA graph of this id."""
    options = ort.RunOptions()
    options.add_run_config_entry("gpu_graph_id", graph)
    return options
