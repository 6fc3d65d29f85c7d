import asyncio
import json
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests.bundles import write_bundle
from tests.e2e.conftest import Server, start, wait_until
from tests.loop import run
from tests.pictures import png


def begin(server: Server, content: bytes, share: float = 0.5, **headers: str) -> socket.socket:
    """A connection that has sent a request up to the first half, or another share, of its body."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}Content-Length: {len(content)}\r\n\r\n"
    connection.sendall(head.encode() + content[: int(share * len(content))])
    return connection


def answer(connection: socket.socket) -> str:
    """All that the server still says on a connection."""
    with connection, connection.makefile("rb") as stream:
        return stream.read().decode()


def held_bytes(server: Server) -> float:
    metrics = httpx2.get(f"{server.url}/metrics").text
    return float(metrics.partition("\nneurotriage_held_bytes ")[2].partition("\n")[0])


def holds(server: Server, size: int) -> bool:
    return held_bytes(server) == size


def test_work_in_flight_ends_while_new_work_is_refused_and_readiness_is_off(launch: Callable[..., Server]) -> None:
    server, content = launch(), png(1)
    connection = begin(server, content)
    wait_until(lambda: held_bytes(server) == len(content) // 2)
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: httpx2.head(f"{server.url}/readyz").status_code == 503)
    assert httpx2.get(f"{server.url}/livez").status_code == 200
    refused = httpx2.post(f"{server.url}/predict", content=content)
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:neurotriage:problem:not-ready")
    connection.sendall(content[len(content) // 2 :])
    assert answer(connection).startswith("HTTP/1.1 200")
    assert server.process.wait(20) == 0


def test_sigterm_under_load_loses_nothing(launch: Callable[..., Server]) -> None:
    server = launch(drain_notice_seconds="3")
    seen: list[int] = []
    loaded = asyncio.Event()

    async def ask_until_refused(seed: int) -> None:
        async with httpx2.AsyncClient(base_url=server.url, timeout=20) as client:
            while (status := (await client.post("/predict", content=png(seed))).status_code) == 200:
                seen.append(status)
                if len(seen) == 20:
                    loaded.set()
        seen.append(status)

    async def work() -> None:
        clients = [asyncio.create_task(ask_until_refused(seed)) for seed in range(8)]
        await loaded.wait()
        server.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*clients)

    run(work)
    assert sorted(set(seen)) == [200, 503]
    assert seen.count(503) == 8
    assert server.process.wait(20) == 0


def test_where_the_time_to_drain_runs_out_the_exit_status_and_the_log_say_so(launch: Callable[..., Server]) -> None:
    server, content = launch(drain_seconds="1"), png(1)
    connection = begin(server, content)
    wait_until(lambda: held_bytes(server) == len(content) // 2)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 1
    connection.close()
    (line,) = [line for line in server.lines() if line["event"] == "drain-ran-out"]
    assert line["visits"] == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_disk_that_is_full_costs_the_log_and_no_answer(tmp_path: Path, workers: str) -> None:
    write_bundle(tmp_path / "models")
    with Path("/dev/full").open("wb") as full:
        server = start(tmp_path, tmp_path / "models", log=full, workers=workers)
    try:
        contents = [png(seed) for seed in range(20)]
        with httpx2.Client(base_url=server.url) as client:
            assert [client.post("/predict", content=each).status_code for each in contents] == [200] * 20
            metrics = client.get("/metrics").text
        assert float(metrics.partition("\nneurotriage_lost_log_lines ")[2].partition("\n")[0]) >= 20
        assert httpx2.get(f"{server.url}/readyz").status_code == 200
        assert server.stop() == 0
    finally:
        server.process.kill()


def test_a_sender_that_stalls_is_told_so_and_gives_its_memory_back(launch: Callable[..., Server]) -> None:
    server, content = launch(body_idle_seconds="0.5"), png(1)
    stalled = [begin(server, content) for _ in range(3)]
    told = [answer(connection) for connection in stalled]
    assert {each.split("\r\n")[0].split()[1] for each in told} == {"408"}
    assert json.loads(told[0].partition("\r\n\r\n")[2])["type"] == "urn:neurotriage:problem:slow-body"
    wait_until(lambda: held_bytes(server) == 0)
    assert httpx2.post(f"{server.url}/predict", content=content).status_code == 200
    assert server.stop() == 0


def test_stalled_uploads_hold_no_more_than_the_room_for_all(launch: Callable[..., Server]) -> None:
    limits = {"max_body_bytes": "1000000", "max_batch_body_bytes": "1000000", "max_bytes_in_flight": "2000000"}
    limits["max_bytes_per_client"] = "2000000"
    server, content = launch(**limits), bytes(1_000_000)
    stalled = []
    for size in (500_000, 1_000_000, 1_500_000):
        stalled.append(begin(server, content))
        wait_until(partial(holds, server, size))
    refused = begin(server, content, share=0)
    assert answer(refused).startswith("HTTP/1.1 503")
    assert httpx2.get(f"{server.url}/readyz").status_code == 200
    for connection in stalled:
        connection.close()
    wait_until(lambda: held_bytes(server) == 0)
    assert httpx2.post(f"{server.url}/predict", content=png(1)).status_code == 200
    assert server.stop() == 0
