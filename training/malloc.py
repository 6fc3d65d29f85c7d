"""Keep freed memory in the process, so that each training step does not fetch its pages anew.

glibc gives large blocks back to the kernel as soon as they are freed, and a training step on the CPU allocates the
same large blocks again: the kernel then clears gigabytes of pages a second for nothing.
"""

import ctypes
import sys
from collections.abc import Callable

KNOBS = {
    -1: -1,  # M_TRIM_THRESHOLD: never trim the heap's top
    -2: 2**28,  # M_TOP_PAD: grow the heap in large steps
    -4: 0,  # M_MMAP_MAX: no block is mapped on its own, to be unmapped when freed
}


def keep_freed_memory() -> bool:
    """Ask glibc to do so; False where there is no glibc."""
    mallopt = _glibc("mallopt")
    return mallopt is not None and all(mallopt(knob, value) == 1 for knob, value in KNOBS.items())


def give_back_freed_memory() -> bool:
    """Give kept pages back to the kernel after all; False where there is no glibc or nothing to give."""
    trim = _glibc("malloc_trim")
    return trim is not None and trim(0) == 1


def _glibc(name: str) -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return found
