import pytest
import torch

from training.memory import Parts, forget_peak, peak_mb

CPU_WORDS = (
    "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
)


FULL = [
    RuntimeError(CPU_WORDS),
    RuntimeError("could not create a primitive"),
    torch.OutOfMemoryError("CUDA out of memory."),
    MemoryError("std::bad_alloc"),
]


@pytest.mark.parametrize("full", FULL)
def test_parts_halve_until_they_fit_and_stay_small(full: Exception) -> None:
    parts, tried = Parts(None), []

    def compute(chosen: slice) -> int:
        tried.append(chosen.stop - chosen.start)
        if tried[-1] > 3:
            raise full
        return len(range(10)[chosen])

    resets: list[None] = []
    assert parts.run(10, compute, lambda: resets.append(None)) == [3, 3, 3, 1]
    assert (parts.size, len(resets)) == (3, 3)
    assert parts.run(10, compute, lambda: resets.append(None)) == [3, 3, 3, 1]
    assert len(resets) == 4


def test_a_single_slice_that_does_not_fit_is_an_error() -> None:
    def compute(_: slice) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.OutOfMemoryError):
        Parts(None).run(4, compute, lambda: None)


def test_another_fault_is_not_taken_for_a_full_memory() -> None:
    def compute(_: slice) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        Parts(None).run(4, compute, lambda: None)


def test_no_slices_are_no_parts() -> None:
    assert Parts(None).run(0, lambda _: 1, lambda: None) == []


def test_the_peak_follows_what_is_held() -> None:
    device = torch.device("cpu")
    forget_peak(device)
    before = peak_mb(device)
    if before is None:
        pytest.skip("this system does not tell a process's peak memory")
    held = torch.ones(64, 1024, 1024)
    after = peak_mb(device)
    assert after is not None
    assert after - before > held.nbytes / 1e6 / 2
