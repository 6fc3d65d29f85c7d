"""Keep freed memory in the process, so that each training step does not fetch its pages anew.

glibc gives large blocks back to the kernel as soon as they are freed, and a training step on the CPU allocates the
same large blocks again: the kernel then clears gigabytes of pages a second for nothing.
"""

import ctypes
import sys

KNOBS = {
    -1: -1,  # M_TRIM_THRESHOLD: never trim the heap's top
    -2: 2**28,  # M_TOP_PAD: grow the heap in large steps
    -4: 0,  # M_MMAP_MAX: no block is mapped on its own, to be unmapped when freed
}


def keep_freed_memory() -> bool:
    """Ask glibc to do so; False where there is no glibc."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(knob, value) == 1 for knob, value in KNOBS.items())
