"""Several processes: nobody gets another's answer, and whatever dies comes back, while processes are being killed."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from service.contract.card import read_card
from service.contract.preprocess import preprocess
from service.contract.probabilities import probabilities
from service.keys import KeyList, make_key, write_keys
from service.session import CPU, Session, make_plan
from tests.bundles import NAME, write_bundle
from tests.e2e.conftest import ROOT, Server, start, wait_until
from tests.explainable import write_explainable_bundle
from tests.loop import run
from tests.pictures import draw, encode, png

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux")


def children_of(server: Server) -> list[int]:
    """Process ids of all that the supervisor has started, the spare front too."""
    listed = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [int(pid) for pid in listed.split()]


def processes_of(server: Server) -> dict[str, list[int]]:
    """Process ids of those that are at work, by what they run."""
    found: dict[str, list[int]] = {"engine": [], "front": []}
    for pid, (module, pids) in itertools.product(children_of(server), found.items()):
        if f"service.processes.{module}" in command_of(pid) and has_event_loop(pid):
            pids.append(pid)
    return found


def has_event_loop(pid: int) -> bool:
    """Whether the process has begun its work: a spare has not."""
    try:
        return any("eventpoll" in str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def gone(pid: int) -> bool:
    """Whether the process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def expected(models: Path, count: int) -> np.ndarray[Any, Any]:
    """The probabilities (count, classes) of the first drawn pictures, by contract and graph alone."""
    card = read_card(models / NAME / "1")
    session = Session(models / NAME / "1" / "model.onnx", make_plan(CPU, 1))
    logits = [session.run([preprocess(draw(seed), card.input)])[0] for seed in range(count)]
    return probabilities(np.stack(logits), card.temperature)


def metric(server: Server, name: str) -> float:
    """A metric's value, as any front tells it."""
    text = httpx2.get(f"{server.url}/metrics").text
    return float(next(line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{name} ")))


def fronts_up(server: Server, count: int) -> bool:
    try:
        return metric(server, 'neurotriage_processes{process="front"}') == count
    except httpx2.TransportError:
        return False


def ready(server: Server) -> bool:
    try:
        return httpx2.get(f"{server.url}/readyz").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers of two fronts; none outlives its test."""
    servers: list[Server] = []

    def begin(**settings: str) -> Server:
        if not (tmp_path / "models").exists():
            write_bundle(tmp_path / "models")
        server = start(
            tmp_path, tmp_path / "models", None, None, **{"workers": "2", "max_queue_size": "400", **settings}
        )
        servers.append(server)
        wait_until(partial(fronts_up, server, int(settings.get("workers", 2))))
        return server

    yield begin
    for server in servers:
        children = (
            [pid for pids in processes_of(server).values() for pid in pids] if server.process.poll() is None else []
        )
        server.process.kill()
        server.process.wait(30)
        for pid in children:
            if not gone(pid):
                os.kill(pid, signal.SIGKILL)


async def answer_or_loss(client: httpx2.AsyncClient, content: bytes, server: Server) -> dict[str, Any] | int | None:
    """The answer, a refusal's status, or None where the connection was lost with its front."""
    try:
        response = await client.post(f"{server.url}/predict", content=content)
    except httpx2.TransportError:
        return None
    body: dict[str, Any] = response.json()
    return body if response.status_code == 200 else response.status_code


def test_hundreds_of_pictures_get_their_own_answers_while_fronts_are_killed(
    several: Callable[..., Server], tmp_path: Path
) -> None:
    server, count = several(), 300
    truth = expected(tmp_path / "models", count)
    contents = [png(seed) for seed in range(count)]
    outcomes: list[dict[str, Any] | int | None] = []

    async def ask(seeds: Iterator[int], client: httpx2.AsyncClient) -> None:
        for seed in seeds:
            outcome = await answer_or_loss(client, contents[seed], server)
            while outcome is None:  # its front was killed: that request alone is lost, and asked again
                outcomes.append(None)
                outcome = await answer_or_loss(client, contents[seed], server)
            outcomes.append(outcome)
            assert isinstance(outcome, dict), outcome
            assert list(outcome["probabilities"].values()) == pytest.approx(truth[seed], abs=1e-5)

    async def kill_fronts(asking: list[asyncio.Task[None]]) -> None:
        for fewest in (40, 140, 240):
            while len(outcomes) < fewest and not all(task.done() for task in asking):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.01)
            while not (victims := processes_of(server)["front"]):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
            os.kill(victims[fewest % len(victims)], signal.SIGKILL)

    async def work() -> None:
        seeds = iter(range(count))
        async with httpx2.AsyncClient(timeout=60) as client:
            asking = [asyncio.create_task(ask(seeds, client)) for _ in range(24)]
            killing = asyncio.create_task(kill_fronts(asking))
            await asyncio.gather(*asking, killing)

    asyncio.run(asyncio.wait_for(work(), 120))
    assert sum(isinstance(outcome, dict) for outcome in outcomes) == count
    assert outcomes.count(None) <= 3 * 24  # each front may have had all 24 callers when it was killed
    wait_until(partial(fronts_up, server, 2))
    assert metric(server, 'neurotriage_restarts_total{process="front"}') == 3


def test_a_killed_front_is_back_at_once_and_what_it_counted_stays(several: Callable[..., Server]) -> None:
    asked = 30
    server = several(rate_per_minute="0.001", rate_burst=str(asked))
    for seed in range(asked):  # each over a connection of its own, so that both fronts have some
        assert httpx2.post(f"{server.url}/predict", content=png(seed), timeout=30).status_code == 200
    assert httpx2.post(f"{server.url}/predict", content=png(0)).status_code == 429
    name = 'neurotriage_requests_total{route="/predict",status="200"}'
    assert [metric(server, name) for _ in range(6)] == [asked] * 6
    wait_until(lambda: len(children_of(server)) == 4)  # the spare is there
    (victim, other) = processes_of(server)["front"]
    killed = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(processes_of(server)["front"]) == 2 and victim not in processes_of(server)["front"])
    wait_until(partial(fronts_up, server, 2))
    print(f"back after {time.monotonic() - killed:.1f} s")  # noqa: T201 - the figure to look at
    assert other in processes_of(server)["front"]
    (delay,) = (line["restart_seconds"] for line in server.lines() if line["event"] == "process died")
    assert delay < 1
    assert [metric(server, name) for _ in range(6)] == [asked] * 6
    assert {httpx2.post(f"{server.url}/predict", content=png(0)).status_code for _ in range(6)} == {429}
    assert metric(server, 'neurotriage_restarts_total{process="front"}') == 1


def test_a_killed_engine_costs_its_callers_a_503_and_comes_back_only_proven(
    several: Callable[..., Server], tmp_path: Path
) -> None:
    server = several()
    (engine,) = processes_of(server)["engine"]
    os.kill(engine, signal.SIGSTOP)
    refused: list[httpx2.Response] = []

    async def work() -> None:
        async with httpx2.AsyncClient(timeout=60) as client:
            contents = [png(seed) for seed in range(20)]
            waiting = [asyncio.create_task(client.post(f"{server.url}/predict", content=each)) for each in contents]
            held = f"neurotriage_held_bytes {float(sum(map(len, contents)))}\n"
            while held not in (await client.get(f"{server.url}/metrics")).text:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
            os.kill(engine, signal.SIGKILL)
            refused.extend(await asyncio.gather(*waiting))
            assert (await client.get(f"{server.url}/livez")).status_code == 200

    asyncio.run(asyncio.wait_for(work(), 60))
    assert {response.status_code for response in refused} == {503}
    assert {response.json()["type"].rpartition(":")[2] for response in refused} <= {"worker-died", "not-ready"}
    assert all(int(response.headers["Retry-After"]) > 0 for response in refused)
    wait_until(partial(ready, server))
    assert httpx2.post(f"{server.url}/predict", content=png(1)).status_code == 200
    opened = [line for line in server.lines() if line["event"] == "model"]
    assert [line["state"] for line in opened] == ["ready", "ready"]
    (tmp_path / "models" / NAME / "1" / "model.onnx").write_bytes(b"cut off")
    os.kill(processes_of(server)["engine"][0], signal.SIGKILL)
    wait_until(lambda: "checksum" in httpx2.get(f"{server.url}/readyz").text)
    assert httpx2.get(f"{server.url}/readyz").status_code == 503
    assert httpx2.post(f"{server.url}/predict", content=png(1)).status_code == 503


def test_a_shortened_deadline_is_kept_though_the_engine_stands_still(several: Callable[..., Server]) -> None:
    server = several()
    (engine,) = processes_of(server)["engine"]
    os.kill(engine, signal.SIGSTOP)
    try:
        headers = {"X-Request-Timeout-Ms": "300"}
        refused = httpx2.post(f"{server.url}/predict?priority=stat", content=png(1), headers=headers, timeout=60)
    finally:
        os.kill(engine, signal.SIGCONT)
    assert (refused.status_code, refused.json()["type"]) == (504, "urn:neurotriage:problem:deadline-exceeded")
    answered = httpx2.post(f"{server.url}/predict?priority=stat", content=png(1), timeout=60)
    assert answered.status_code == 200
    labels = f'{{model="{NAME}",priority="stat",version="1"}}'
    assert metric(server, f"neurotriage_queue_seconds_count{labels}") == 1


def test_a_successor_of_the_engine_serves_what_an_operator_had_left(
    several: Callable[..., Server], tmp_path: Path
) -> None:
    text, key = make_key("operator", frozenset({"admin", "predict"}))
    write_keys(tmp_path / "keys.json", KeyList(keys=(key,)))
    models = tmp_path / "models"
    for version in (1, 2):
        write_bundle(models, version=version, seed=version)
    server = several(keys=str(tmp_path / "keys.json"))
    with httpx2.Client(base_url=server.url, headers={"X-API-Key": text}, timeout=60) as client:
        assert client.post(f"/models/{NAME}/unload?version=2").status_code == 200
        write_bundle(models, version=3, seed=3)
        write_bundle(models, "a-new-one")
        os.kill(processes_of(server)["engine"][0], signal.SIGKILL)
        wait_until(lambda: metric(server, 'neurotriage_restarts_total{process="engine"}') == 1)
        wait_until(partial(ready, server))
        shown = client.get("/models").json()
        assert shown["default"] == NAME
        states = {each["version"]: each["state"] for model in shown["models"] for each in model["versions"]}
        assert states == {1: "ready", 2: "unloaded"}
        assert client.post("/predict", content=png(1)).json()["model"]["version"] == 1
        assert client.post(f"/models/{NAME}/load?version=3").status_code == 200
        assert client.post("/predict", content=png(1)).json()["model"]["version"] == 3


def test_without_its_supervisor_nothing_is_left(several: Callable[..., Server]) -> None:
    memory = shared_memory()
    server = several()
    for seed in range(8):
        httpx2.post(f"{server.url}/predict", content=png(seed))
    wait_until(lambda: len(children_of(server)) == 4)
    children = children_of(server)
    server.process.kill()
    server.process.wait(30)
    wait_until(lambda: all(gone(pid) for pid in children))
    assert shared_memory() == memory


def shared_memory() -> set[str]:
    return {path.name for path in Path("/dev/shm").iterdir()}  # noqa: S108 - looked at, not written to


def test_maps_and_models_are_those_of_a_single_process(several: Callable[..., Server], tmp_path: Path) -> None:
    write_explainable_bundle(tmp_path / "models")
    one = start(tmp_path, tmp_path / "models")
    try:
        alone = [explanation(one, seed) for seed in range(12)]
        shown = httpx2.get(f"{one.url}/models").json()
    finally:
        assert one.stop() == 0
    many = several()

    async def work() -> None:
        async with httpx2.AsyncClient(timeout=60) as client:
            asking = [client.post(explain_url(many), content=encode(draw(seed))) for seed in range(12)]
            for response, known in zip(await asyncio.gather(*asking), alone, strict=True):
                told = response.json()
                assert response.status_code == 200, told
                assert told["label"] == known["label"]
                for explanation, other in zip(told["explanations"], known["explanations"], strict=True):
                    assert explanation["target"] == other["target"]
                    assert np.allclose(explanation["heatmap"], other["heatmap"], atol=0.02)

    run(work)
    assert httpx2.get(f"{many.url}/models").json() == shown


def explain_url(server: Server) -> str:
    return f"{server.url}/explain?target=all&layer=conv&method=hirescam"


def explanation(server: Server, seed: int) -> dict[str, Any]:
    body: dict[str, Any] = httpx2.post(explain_url(server), content=encode(draw(seed)), timeout=30).json()
    return body


@pytest.mark.parametrize(
    ("setting", "says"),
    [("host", "set NEUROTRIAGE_KEYS"), ("provider", "cuda was asked for"), ("audit", "the audit file")],
)
def test_several_processes_that_cannot_start_say_why(tmp_path: Path, setting: str, says: str) -> None:
    wishes = {"host": "0.0.0.0", "provider": "cuda", "audit": "nowhere/audit.jsonl"}  # noqa: S104 - it refuses to
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NEUROTRIAGE_WORKERS": "2", "NEUROTRIAGE_PORT": "0"}
    environment[f"NEUROTRIAGE_{setting.upper()}"] = wishes[setting]
    command = [sys.executable, "-m", "service"]
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert ended.returncode == 2
    told = ended.stderr.decode().splitlines()
    assert all(line.startswith("cannot start: ") for line in told)
    assert says in told[0]
