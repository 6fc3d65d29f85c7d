import asyncio
import json
import socket
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import Server
from tests.loop import run
from tests.pictures import draw, encode, png


async def ask(client: httpx2.AsyncClient, content: bytes) -> dict[str, Any]:
    response = await client.post("/predict", content=content)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def test_two_hundred_callers_at_once_each_get_their_own_answer(server: Server) -> None:
    contents = [png(seed) for seed in range(200)]

    async def work() -> None:
        limits = httpx2.Limits(max_connections=200)
        async with httpx2.AsyncClient(base_url=server.url, limits=limits, timeout=30) as client:
            alone = [await ask(client, content) for content in contents]
            together = await asyncio.gather(*(ask(client, content) for content in contents))
        assert len({each["tumor_probability"] for each in alone}) == 200
        assert max(each["batch_size"] for each in together) > 1
        for one, other in zip(alone, together, strict=True):
            assert other["label"] == one["label"]
            assert other["probabilities"] == pytest.approx(one["probabilities"], abs=1e-4)

    run(work)


def test_an_endless_chunked_body_is_cut_off_long_before_its_end(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent, chunk = 0, b"2710\r\n" + b"x" * 10_000 + b"\r\n"
        try:
            while sent < 50_000_000:
                connection.sendall(chunk)
                sent += 10_000
        except OSError:
            pass
    assert sent < 50_000_000
    assert httpx2.get(f"{server.url}/readyz").status_code == 200


def test_a_body_declared_too_large_is_refused_before_it_is_sent(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n\r\n")
        answer = connection.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 413")
    assert "application/problem+json" in answer


def test_a_client_that_hangs_up_harms_nobody(server: Server) -> None:
    body = png(1)
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for share in (0.0, 0.5, 1.0):
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
                connection.sendall(head + body[: int(share * len(body))])
    assert httpx2.post(f"{server.url}/predict", content=body).status_code == 200
    assert not [line for line in server.lines() if line["event"] == "unhandled"]


def test_the_log_is_a_json_line_a_request_and_names_no_file(server: Server) -> None:
    marker = "Jane-Doe-1970"
    picture = encode(draw(1), "PNG")
    with httpx2.Client(base_url=server.url) as client:
        client.post("/predict", files={"file": (f"{marker}.png", picture)}, headers={"X-Request-ID": "r-42"})
        client.post(f"/predict?model={marker}", content=picture)
        client.get(f"/{marker}")
        client.post("/predict/batch", files=[("files", (marker, b"no picture"))])
        metrics = client.get("/metrics").text
    lines = server.lines()
    assert marker not in json.dumps(lines) + metrics
    (first,) = [line for line in lines if line.get("request_id") == "r-42"]
    assert {"event", "level", "timestamp", "method", "route", "status", "ms", "model", "version", "batch_size"} <= set(
        first
    )


def test_sigterm_ends_it_cleanly(server: Server) -> None:
    httpx2.post(f"{server.url}/predict", content=png(1))
    assert server.stop() == 0
