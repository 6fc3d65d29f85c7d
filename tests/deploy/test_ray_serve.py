"""Two Ray nodes on loopback, one of which is killed under load. `make test-ray` runs this; Ray is optional."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.requests import Request

from service.settings import Settings
from tests.bundles import write_bundle
from tests.e2e.conftest import free_port
from tests.pictures import draw, encode

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # all of Ray on loopback; read when Ray is imported
NO_RAY = "Ray is not installed; make test-ray installs it"
ray = pytest.importorskip("ray", reason=NO_RAY)
cluster_utils = pytest.importorskip("ray.cluster_utils", reason=NO_RAY)
psutil = pytest.importorskip("psutil", reason=NO_RAY)
serve = pytest.importorskip("ray.serve", reason=NO_RAY)
application = pytest.importorskip("deploy.ray.application", reason=NO_RAY)
pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]

CALLERS = 8
HELD_SECONDS = 0.4
"""A replica holds what it accepted so long, so that a moment after some answers there is something for it to lose."""
QUICK_TO_NOTICE = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 4,
}
NODE = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": 100_000_000}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head and one more node, each with room for one replica."""
    write_bundle(tmp_path / "models")
    monkeypatch.setenv("NEUROTRIAGE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("NEUROTRIAGE_PROVIDER", "cpu")
    monkeypatch.setenv("NEUROTRIAGE_OPEN_TO_ALL", "true")
    monkeypatch.setenv("NEUROTRIAGE_DEADLINE_MS", "60000")
    monkeypatch.setenv("NEUROTRIAGE_MAX_QUEUE_DELAY_MS", str(HELD_SECONDS * 1000))
    monkeypatch.setenv("NEUROTRIAGE_MAX_BATCH_SIZE", "32")
    root = str(Path(__file__).resolve().parents[2])
    monkeypatch.setenv("PYTHONPATH", root + os.pathsep + os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    head = NODE | {"_system_config": QUICK_TO_NOTICE, "include_dashboard": False}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
    try:
        cluster.add_node(**NODE)
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_a_node_that_dies_under_load_loses_no_accepted_request(cluster: Any) -> None:
    port = free_port()
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
    serve.run(application.application({"replicas": "2"}), name="neurotriage", route_prefix="/")
    front = serve.get_app_handle("neurotriage")
    pictures = [encode(draw(seed, 900, 1100), "JPEG") for seed in range(16)]
    url = f"http://127.0.0.1:{port}/predict"

    with httpx2.Client(timeout=120) as client:
        wanted = [client.post(url, content=picture).json()["probabilities"] for picture in pictures]
    assert len({each["glioma"] for each in wanted}) == len(pictures)
    addresses = listening()
    busy, over = threading.Semaphore(0), threading.Event()

    def call(caller: int) -> int:
        """Ask for one picture after another until the others are done too; how many were answered rightly."""
        answered = 0
        with httpx2.Client(timeout=120) as client:
            while not over.is_set():
                place = (caller + CALLERS * answered) % len(pictures)
                response = client.post(url, content=pictures[place])
                assert response.status_code == 200, response.text
                assert response.json()["probabilities"] == pytest.approx(wanted[place], abs=1e-4)
                answered += 1
                busy.release()
        return answered

    with ThreadPoolExecutor(CALLERS) as threads:
        calls = [threads.submit(call, caller) for caller in range(CALLERS)]
        try:
            wait_for(busy, 3 * CALLERS)
            time.sleep(HELD_SECONDS / 2)
            lose(cluster, next(iter(cluster.worker_nodes)))
            wait_for(busy, 10 * CALLERS)
        finally:
            over.set()
        assert min(each.result(120) for each in calls) > 0
    assert front.asked_again.remote().result(timeout_s=60) > 0
    assert addresses
    beyond = {each for each in addresses if not ip_address(each).is_loopback}
    assert beyond <= {"::"}  # a replica's own gRPC port, for which Ray Serve has no setting


def lose(cluster: Any, machine: Any) -> None:
    """Kill all that runs on a machine at once; of Ray's own accord its replicas may finish what they hold."""
    (raylet,) = machine.all_processes["raylet"]
    for process in psutil.Process(raylet.process.pid).children(recursive=True):
        process.kill()
    cluster.remove_node(machine, allow_graceful=False)


def listening() -> set[str]:
    """Addresses at which this process and all that it started listen."""
    this = psutil.Process()
    pids = {process.pid for process in [this, *this.children(recursive=True)]}
    found = [each for each in psutil.net_connections("inet") if each.pid in pids]
    return {each.laddr.ip.removeprefix("::ffff:") for each in found if each.status == psutil.CONN_LISTEN}


def wait_for(busy: threading.Semaphore, answers: int) -> None:
    for _ in range(answers):
        assert busy.acquire(timeout=100), "the cluster answers no more"


class Replicas:
    """Stands for the handle of all replicas, none of which must be asked."""

    @property
    def answer(self) -> Any:
        raise AssertionError("a replica was asked")


def front(**settings: Any) -> Any:
    return application.Front(Replicas(), Settings(**settings))


@pytest.mark.parametrize("change", ["load", "unload"])
def test_no_replica_changes_its_models_for_itself_alone(change: str) -> None:
    scope = {"type": "http", "method": "POST", "path": f"/models/tiny/{change}", "query_string": b"", "headers": []}
    answer = asyncio.run(front()(Request(scope)))
    assert answer.status_code == 409
    assert json.loads(answer.body)["type"] == "urn:neurotriage:problem:load-failed"


def test_the_front_holds_bodies_to_the_settings_bounds() -> None:
    bounds = front(body_least_bytes_per_second=2000, max_bytes_per_client=200_000_000)._intake
    assert (bounds.least_rate, bounds.max_bytes_per_client) == (2000, 200_000_000)
