"""Keep freed memory in the process, so that each training step does not fetch its pages anew.

glibc gives large blocks back to the kernel as soon as they are freed, and a training step on the CPU allocates the
same large blocks again: the kernel then clears gigabytes of pages a second for nothing.
"""

import ctypes
import sys
from collections.abc import Callable

if sys.platform == "linux":
    import resource

KNOBS = {
    -1: -1,  # M_TRIM_THRESHOLD: never trim the heap's top
    -2: 2**28,  # M_TOP_PAD: grow the heap in large steps
    -4: 0,  # M_MMAP_MAX: no block is mapped on its own, to be unmapped when freed
}
RETURN = {-3: 2**20}  # M_MMAP_THRESHOLD: what is larger is mapped on its own, and unmapped when freed


def keep_freed_memory() -> bool:
    """Ask glibc to do so; False where there is no glibc.

    A process with a limit of its own (`ulimit -d` or `-v`) gives large blocks back at once instead, since what it keeps
    would count against the limit: slower, but a batch that did not fit leaves all its room to the halves.
    """
    mallopt = _glibc("mallopt")
    knobs = RETURN if is_limited() else KNOBS
    return mallopt is not None and all(mallopt(knob, value) == 1 for knob, value in knobs.items())


def is_limited() -> bool:
    """Whether the process may hold only so much memory."""
    if sys.platform != "linux":
        return False
    limits = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS))
    return any(limit != resource.RLIM_INFINITY for limit in limits)


def _glibc(name: str) -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return found
