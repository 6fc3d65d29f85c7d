import numpy as np
import pytest

from service.cuda import cuda_options, host_buffer, page_lock
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


@pytest.mark.skipif(cuda_fault() is None, reason="this machine has CUDA")
def test_without_a_card_pages_stay_as_they_are() -> None:
    buffer = host_buffer((16,), page_locked=True)
    assert not page_lock(buffer)
    assert np.array_equal(buffer, np.zeros(16))
