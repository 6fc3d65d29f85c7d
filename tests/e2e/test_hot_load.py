"""Models come and go while 32 clients ask without pause."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service.keys import KeyList, make_key, write_keys
from tests.bundles import write_bundle
from tests.e2e.conftest import Server, start, wait_until
from tests.e2e.test_drain import answer, begin
from tests.loop import run
from tests.pictures import png

CLIENTS = 32
ROUNDS = 3


@pytest.fixture(params=["1", "2"], ids=["one-process", "two-fronts"])
def operated(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server of the tiny model, and an operator's headers; version 2 lies ready beside version 1."""
    text, key = make_key("operator", frozenset({"admin", "predict"}))
    write_keys(tmp_path / "keys.json", KeyList(keys=(key,)))
    write_bundle(tmp_path / "models")
    write_bundle(tmp_path / "models", "spare")
    server = start(tmp_path, tmp_path / "models", keys=str(tmp_path / "keys.json"), max_queue_size="400",
                   default_model="tiny", workers=request.param)  # fmt: skip
    write_bundle(tmp_path / "models", version=2, seed=2)
    (write_bundle(tmp_path / "models", version=3, seed=3) / "golden.npz").unlink()
    yield server, {"X-API-Key": text}
    if server.process.poll() is None:
        assert server.stop() == 0


async def ask(client: httpx2.AsyncClient, seed: int, query: str = "") -> tuple[int, dict[str, float]]:
    """The version that answered, and its probabilities."""
    sent = await client.post(f"/predict{query}", content=png(seed))
    assert sent.status_code == 200, sent.text
    body: dict[str, Any] = sent.json()
    return body["model"]["version"], body["probabilities"]


def test_not_one_answer_fails_or_is_wrong_while_models_are_loaded_and_unloaded(
    operated: tuple[Server, dict[str, str]],
) -> None:
    server, headers = operated
    seen: list[tuple[int, int, dict[str, float]]] = []
    over = asyncio.Event()

    async def ask_without_pause(client: httpx2.AsyncClient, seed: int) -> None:
        while not over.is_set():
            seen.append((seed, *await ask(client, seed)))

    async def operate(client: httpx2.AsyncClient, path: str, status: int = 200) -> None:
        assert (await client.post(f"/models/tiny/{path}", timeout=60)).status_code == status
        enough = len(seen) + 2 * CLIENTS
        while len(seen) < enough:  # noqa: ASYNC110 - others append to it
            await asyncio.sleep(0.01)

    async def work() -> None:
        limits = httpx2.Limits(max_connections=CLIENTS + 4)
        async with httpx2.AsyncClient(base_url=server.url, headers=headers, limits=limits, timeout=30) as client:
            async with asyncio.TaskGroup() as group:
                for seed in range(CLIENTS):
                    group.create_task(ask_without_pause(client, seed))
                try:
                    for _ in range(ROUNDS):
                        await operate(client, "load?version=2")
                        await operate(client, "load?version=3", 409)
                        await operate(client, "unload?version=1")
                        await operate(client, "load?version=2")
                        await operate(client, "load?version=1")
                        await operate(client, "unload?version=2")
                finally:
                    over.set()
            alone = {1: [await ask(client, seed) for seed in range(CLIENTS)]}
            await operate_quietly(client, "load?version=2")
            alone[2] = [await ask(client, seed) for seed in range(CLIENTS)]
        assert {version for _, version, _ in seen} == {1, 2}
        for seed, version, probabilities in seen:
            assert probabilities == pytest.approx(alone[version][seed][1], abs=1e-4)

    asyncio.run(asyncio.wait_for(work(), 240))
    assert not [line for line in server.lines() if line["event"] == "unhandled"]


async def operate_quietly(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.post(f"/models/tiny/{path}", timeout=60)).status_code == 200


def test_a_request_that_was_there_first_ends_on_the_version_it_was_given(
    operated: tuple[Server, dict[str, str]],
) -> None:
    server, headers = operated
    content = png(1)
    connection = begin(server, content, 0.5, **headers)
    wait_until(lambda: "neurotriage_held_bytes 0.0" not in httpx2.get(f"{server.url}/metrics").text)
    assert httpx2.post(f"{server.url}/models/tiny/unload", headers=headers).status_code == 200
    assert httpx2.get(f"{server.url}/readyz").status_code == 503
    connection.sendall(content[len(content) // 2 :])
    assert answer(connection).startswith("HTTP/1.1 200")
    assert httpx2.post(f"{server.url}/predict", content=content, headers=headers).status_code == 503
    assert httpx2.post(f"{server.url}/models/tiny/load?version=1", headers=headers, timeout=60).status_code == 200
    assert httpx2.post(f"{server.url}/predict", content=content, headers=headers).status_code == 200


def test_a_load_in_progress_does_not_keep_livez_waiting(operated: tuple[Server, dict[str, str]]) -> None:
    server, headers = operated

    async def work() -> None:
        async with httpx2.AsyncClient(base_url=server.url, headers=headers, timeout=30) as client:
            loading = [asyncio.create_task(client.post("/models/tiny/load?version=2")) for _ in range(4)]
            answered = 0
            while not all(each.done() for each in loading):
                assert (await client.get("/livez")).status_code == 200
                answered += 1
            assert [each.result().status_code for each in loading] == [200] * 4
            assert answered > 1

    run(work)
