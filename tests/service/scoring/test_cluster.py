"""An archive over Ray Data, on a cluster of this machine. `make test-ray` runs this; Ray is optional."""

import json
import os
import signal
import subprocess
import sys
import time
from ipaddress import ip_address
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.bundles import write_bundle
from tests.pictures import draw, encode

NO_RAY = "Ray is not installed; make test-ray installs it"
pytest.importorskip("ray", reason=NO_RAY)
psutil = pytest.importorskip("psutil", reason=NO_RAY)
pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]

ROOT = Path(__file__).resolve().parents[3]
FILES = 160


def test_a_killed_run_over_ray_goes_on_and_every_file_has_exactly_one_row(tmp_path: Path) -> None:
    write_bundle(tmp_path / "models")
    archive, out = tmp_path / "archive", tmp_path / "out"
    archive.mkdir()
    for seed in range(FILES - 1):
        (archive / f"{seed}.jpg").write_bytes(encode(draw(seed, 700, 900), "JPEG"))
    (archive / "notes.txt").write_text("no picture")
    settings = {"NEUROTRIAGE_MODELS": str(tmp_path / "models"), "NEUROTRIAGE_PROVIDER": "cpu"}
    environment = os.environ | settings | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "service", "score", str(archive), str(out)]
    command += ["--part-rows", "2", "--ray", "--actors", "1", "--threads", "1"]
    first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 100
    while not list(out.glob("part-*.parquet")):
        assert time.monotonic() < end
        assert first.poll() is None
        time.sleep(0.002)
    addresses = listening(first.pid)
    first.kill()
    assert first.wait(20) == -signal.SIGKILL
    assert len(list(out.glob("part-*.parquet"))) < FILES / 4

    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["before"] > 0
    assert summary["before"] + summary["answered"] + sum(summary["problems"].values()) == summary["files"] == FILES
    paths = [path for part in out.glob("part-*.parquet") for path in pq.read_table(part).column("path").to_pylist()]
    assert sorted(paths) == sorted(path.name for path in archive.iterdir())
    assert addresses
    assert {each for each in addresses if not ip_address(each).is_loopback} == set()


def listening(pid: int) -> set[str]:
    """Addresses at which a process and all that it started listen."""
    top = psutil.Process(pid)
    pids = {process.pid for process in [top, *top.children(recursive=True)]}
    found = [each for each in psutil.net_connections("inet") if each.pid in pids]
    return {each.laddr.ip.removeprefix("::ffff:") for each in found if each.status == psutil.CONN_LISTEN}
