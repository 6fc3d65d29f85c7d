import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these knobs")
def test_glibc_takes_the_knobs() -> None:
    command = "from training.malloc import keep_freed_memory; raise SystemExit(not keep_freed_memory())"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0


LIMITED = """
import resource
import torch
from torch import nn
from training.malloc import keep_freed_memory
from training.memory import Parts

held = int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmData"))) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (held + 700_000_000,) * 2)
keep_freed_memory()
torch.set_num_threads(1)
network = nn.Sequential(*(nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.SiLU()) for _ in range(6)))
slices, parts = torch.ones(8, 16, 384, 384), Parts(8)
parts.run(8, lambda chosen: network(slices[chosen]).mean().backward(), network.zero_grad)
print(parts.size)
"""
"""Eight slices need some 900 MB, four half of that."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these knobs")
def test_a_batch_that_does_not_fit_a_limit_leaves_its_room_to_the_halves() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["4"]
