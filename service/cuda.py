"""What CUDA needs beyond a provider's name: its options, and host memory that the card reads without a detour."""

import ctypes
import math
import mmap
import weakref
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Search = Literal["heuristic", "exhaustive"]
CUDART = ("libcudart.so.13", "libcudart.so.12")


def cuda_options(search: Search = "heuristic", *, graphs: bool = False) -> dict[str, str]:
    """Options of ONNX Runtime's CUDA provider.

    An exhaustive search tunes every new shape, which the padded buckets of a plan keep few and the warm-up all runs.
    Graphs are captured a bucket: one launch instead of one a node; they need every node on the card.
    """
    options = {
        "cudnn_conv_algo_search": search.upper(),
        "arena_extend_strategy": "kSameAsRequested",  # the arena never shrinks, so it should not double either
        "use_tf32": "0",  # golden answers come from float32
    }
    return options | ({"enable_cuda_graph": "1"} if graphs else {})


def host_buffer(shape: tuple[int, ...], *, page_locked: bool) -> npt.NDArray[np.uint8]:
    """Zeros in whole pages of their own; `page_locked` pins them for the card where its runtime library is there."""
    memory = mmap.mmap(-1, max(math.prod(shape), 1))
    buffer = np.frombuffer(memory, np.uint8, math.prod(shape))
    if page_locked:
        page_lock(buffer)
    return buffer.reshape(shape)


def page_lock(buffer: npt.NDArray[np.uint8]) -> bool:
    """Pin a buffer's pages for as long as it lives, so that copies to the card need no bounce buffer; whether it did.

    Without it the copy works all the same, only slower. Pages given back while they are pinned would still be what
    the card reads at their address, whatever comes to lie there next.
    """
    for name in CUDART:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        return pinned(library, buffer)
    return False


def pinned(library: Any, buffer: npt.NDArray[np.uint8]) -> bool:
    """Whether CUDA's runtime library has pinned the buffer's pages; it lets them go before they are given back."""
    address = ctypes.c_void_p(buffer.ctypes.data)
    if library.cudaHostRegister(address, ctypes.c_size_t(buffer.nbytes), ctypes.c_uint(0)) != 0:
        return False
    weakref.finalize(buffer, library.cudaHostUnregister, address).atexit = False
    return True
