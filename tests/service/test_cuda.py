import ctypes
import gc

import numpy as np
import pytest

from service.cuda import cuda_options, host_buffer, page_lock, pinned
from service.session import cuda_fault


def test_the_provider_is_told_what_keeps_it_fast_exact_and_small() -> None:
    assert cuda_options() == {
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        "use_tf32": "0",
    }


def test_an_exhaustive_search_and_graphs_are_asked_for_by_name() -> None:
    options = cuda_options("exhaustive", graphs=True)
    assert (options["cudnn_conv_algo_search"], options["enable_cuda_graph"]) == ("EXHAUSTIVE", "1")
    assert "enable_cuda_graph" not in cuda_options("exhaustive")


def test_a_host_buffer_is_writable_zeros_in_pages_of_its_own() -> None:
    buffer = host_buffer((3, 5, 7), page_locked=False)
    assert buffer.shape == (3, 5, 7)
    assert not buffer.any()
    assert buffer.ctypes.data % 4096 == 0
    buffer[:] = 9
    assert (buffer == 9).all()


class Runtime:
    """CUDA's runtime library, as far as pinning goes: notes what is pinned, and reads what is let go."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.pinned: set[int | None] = set()

    def cudaHostRegister(self, address: ctypes.c_void_p, *_: object) -> int:  # noqa: N802 - CUDA's name
        self.pinned.add(address.value)
        return self.status

    def cudaHostUnregister(self, address: ctypes.c_void_p) -> int:  # noqa: N802 - CUDA's name
        assert ctypes.string_at(address, 16) == bytes(16)  # the pages are still there
        self.pinned.remove(address.value)
        return 0


def test_pages_are_let_go_before_they_are_given_back_and_not_while_a_part_is_in_use() -> None:
    runtime, buffer = Runtime(), host_buffer((4, 4096), page_locked=False).reshape(-1)
    buffer = np.asarray(buffer.base)
    assert pinned(runtime, buffer)
    part = buffer[4096:].reshape(3, 4096)[1]
    del buffer
    assert len(runtime.pinned) == 1
    del part
    gc.collect()
    assert not runtime.pinned


def test_pages_that_cannot_be_pinned_are_used_as_they_are() -> None:
    assert not pinned(Runtime(status=2), host_buffer((16,), page_locked=False))


@pytest.mark.skipif(cuda_fault() is None, reason="this machine has CUDA")
def test_without_a_card_pages_stay_as_they_are() -> None:
    buffer = host_buffer((16,), page_locked=True)
    assert not page_lock(buffer)
    assert np.array_equal(buffer, np.zeros(16))
