"""Peak memory, and batches that fit into what there is."""

import gc
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import torch

T = TypeVar("T")

CPU_IS_FULL = ("can't allocate memory", "not enough memory", "could not create a primitive")
"""What torch's CPU allocator says, on Linux and on Windows, and oneDNN where it finds no room for its buffers."""
STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")


class Parts:
    """Divides a batch into parts; where one does not fit into memory, all are halved and the batch begins again."""

    def __init__(self, size: int | None) -> None:
        self.size = size

    def run(self, count: int, compute: Callable[[slice], T], reset: Callable[[], None]) -> list[T]:
        """`compute` of each part of `count` slices, after `reset`; raises what is raised for a single slice."""
        while True:
            size = min(self.size or count, count)
            reset()
            try:
                return [compute(slice(start, start + size)) for start in range(0, count, max(size, 1))]
            except (RuntimeError, MemoryError) as error:
                if size <= 1 or not is_full(error):
                    raise
            self.size = math.ceil(size / 2)
            free()


def is_full(error: RuntimeError | MemoryError) -> bool:
    """Whether memory ran out, on a GPU or on the CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in CPU_IS_FULL)


def free() -> None:
    """Let go of what the failed attempt held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def forget_peak(device: torch.device) -> None:
    """Begin a new peak, where the system can: on a GPU, and for a process on Linux."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with suppress(OSError):
        CLEAR.write_text("5")


def peak_mb(device: torch.device) -> float | None:
    """Most memory held since, in MB: the GPU's tensors, or the process's resident memory; None where nobody knows."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 1e6, 1)
    with suppress(OSError):
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM"):
                return round(int(line.split()[1]) * 1024 / 1e6, 1)
    return None
