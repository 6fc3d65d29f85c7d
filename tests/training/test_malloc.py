import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these knobs")
def test_glibc_takes_the_knobs() -> None:
    command = "from training.malloc import keep_freed_memory; raise SystemExit(not keep_freed_memory())"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0


GIVEN_BACK = """
import numpy as np
from training.malloc import give_back_freed_memory, keep_freed_memory

def held():
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS"))) * 1024

keep_freed_memory()
block = np.ones(2**28, np.uint8)
del block
kept = held()
give_back_freed_memory()
raise SystemExit(kept - held() < 2**27)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps it")
def test_what_was_kept_can_be_given_back() -> None:
    assert subprocess.run([sys.executable, "-c", GIVEN_BACK], check=False).returncode == 0
