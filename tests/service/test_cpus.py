import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from service.cpus import MOST_NICE, NICE, be_nice, cgroup_quota, give_way, usable_cpus


def test_it_is_at_least_one_and_at_most_the_affinity_mask() -> None:
    assert 1 <= usable_cpus() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("written", "quota"), [("max 100000", None), ("150000 100000", 1.5), ("50000 100000", 0.5)])
def test_version_two_of_cgroups_is_read(tmp_path: Path, written: str, quota: float | None) -> None:
    (tmp_path / "cpu.max").write_text(written + "\n")
    assert cgroup_quota(tmp_path) == quota


@pytest.mark.parametrize(("quota", "cores"), [("-1", None), ("250000", 2.5)])
def test_version_one_of_cgroups_is_read(tmp_path: Path, quota: str, cores: float | None) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert cgroup_quota(tmp_path) == cores


def test_a_quota_of_less_than_a_core_still_gives_one(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("20000 100000")
    assert usable_cpus(tmp_path) == 1


def test_without_cgroups_there_is_no_quota(tmp_path: Path) -> None:
    assert cgroup_quota(tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no nice of its own")
@pytest.mark.parametrize(
    ("begin", "nice"),
    [
        (give_way, NICE),
        (partial(give_way, 10), 10 + NICE),
        (partial(give_way, 19), MOST_NICE),
        (partial(be_nice, 7), 7),
    ],
)
def test_a_thread_that_gives_way_does_so_alone(begin: Callable[[], None], nice: int) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with ThreadPoolExecutor(1, initializer=begin) as threads:
        found = threads.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result()
    assert found == min(MOST_NICE, before + nice)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
