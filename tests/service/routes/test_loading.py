import gc
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.contract.card import Card
from service.keys import KeyList, Scope, make_key, write_keys
from service.session import Session
from service.settings import Settings
from tests.bundles import write_bundle, write_card, write_model
from tests.explainable import write_explainable_bundle
from tests.pictures import png


@pytest.fixture
def keys(tmp_path: Path) -> dict[Scope, str]:
    """A key a scope, in a file."""
    scopes: tuple[Scope, ...] = ("predict", "explain", "admin")
    made = {scope: make_key(scope, frozenset({scope})) for scope in scopes}
    write_keys(tmp_path / "keys.json", KeyList(keys=tuple(key for _, key in made.values())))
    return {scope: text for scope, (text, _) in made.items()}


@pytest.fixture
def client(models: Path, tmp_path: Path, keys: dict[Scope, str]) -> Iterator[TestClient]:
    """An operator's client."""
    app = create_app(Settings(models=models, provider="cpu", keys=tmp_path / "keys.json"))
    with TestClient(app, raise_server_exceptions=False, headers={"X-API-Key": keys["admin"]}) as client:
        yield client


@pytest.fixture
def ask(client: TestClient, keys: dict[Scope, str]) -> Any:
    """Asks `/predict` with a key for it; the version that answers, or the status of the refusal."""

    def ask(query: str = "") -> int:
        sent = client.post(f"/predict{query}", content=png(1), headers={"X-API-Key": keys["predict"]})
        return int(sent.json()["model"]["version"]) if sent.status_code == 200 else sent.status_code

    return ask


def states(client: TestClient, name: str = "tiny") -> dict[int, str]:
    return {each["version"]: each["state"] for each in client.get(f"/models/{name}").json()["versions"]}


@pytest.mark.parametrize("deed", ["load", "unload"])
def test_only_a_key_of_the_scope_admin_may(client: TestClient, keys: dict[Scope, str], deed: str) -> None:
    for scope, status in (("predict", 403), ("explain", 403), (None, 401)):
        headers = {"X-API-Key": keys[scope] if scope else ""}  # type: ignore[index]  # None has been ruled out
        assert client.post(f"/models/tiny/{deed}", headers=headers).status_code == status
    assert states(client) == {1: "ready"}


@pytest.mark.parametrize("deed", ["load", "unload"])
def test_where_no_keys_are_asked_for_nobody_may(settings: Settings, deed: str) -> None:
    with TestClient(create_app(settings)) as client:
        sent = client.post(f"/models/tiny/{deed}")
        assert (sent.status_code, sent.json()["type"]) == (403, "urn:neurotriage:problem:forbidden")
        assert states(client) == {1: "ready"}


def test_a_new_version_answers_once_it_is_loaded_and_not_before(client: TestClient, models: Path, ask: Any) -> None:
    write_bundle(models, version=2, seed=2)
    assert (ask(), ask("?version=2")) == (1, 404)
    sent = client.post("/models/tiny/load")
    assert (sent.status_code, sent.json()["serving_version"]) == (200, 2)
    assert (ask(), ask("?version=1"), ask("?version=2")) == (2, 1, 2)
    assert 'neurotriage_model_ready{model="tiny",provider="CPUExecutionProvider",version="2"} 1.0' in (
        client.get("/metrics").text
    )


def test_a_version_is_loaded_by_its_number_and_a_new_model_by_its_name(
    client: TestClient, models: Path, ask: Any
) -> None:
    for version in (2, 3):
        write_bundle(models, version=version)
    write_bundle(models, "another")
    assert client.post("/models/tiny/load?version=2").status_code == 200
    assert states(client) == {1: "ready", 2: "ready"}
    assert client.post("/models/another/load").status_code == 200
    assert ask("?model=another") == 1
    assert client.get("/models").json()["default"] == "tiny"


def test_a_version_that_serves_is_opened_again_as_it_is_now(client: TestClient, models: Path, ask: Any) -> None:
    before = client.get("/models/tiny").json()["versions"][0]["sha256"]
    folder = models / "tiny" / "1"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    write_bundle(models, seed=5)
    assert client.post("/models/tiny/load?version=1").status_code == 200
    assert client.get("/models/tiny").json()["versions"][0]["sha256"] != before
    assert ask() == 1


def harm_checksum(folder: Path) -> None:
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:-1])


def harm_golden(folder: Path) -> None:
    write_model(folder / "model.onnx", seed=9)
    write_card(folder)


def harm_card(folder: Path) -> None:
    (folder / "card.json").write_text("{")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [(harm_checksum, "checksum"), (harm_golden, "golden answers differ"), (harm_card, "makes no sense")],
)
def test_a_load_that_fails_says_why_and_what_serves_goes_on(
    client: TestClient, models: Path, ask: Any, harm: Any, reason: str
) -> None:
    harm(models / "tiny" / "1")
    harm(write_bundle(models, version=2))
    for version in (1, 2):
        sent = client.post(f"/models/tiny/load?version={version}")
        assert (sent.status_code, sent.json()["type"]) == (409, "urn:neurotriage:problem:load-failed")
        assert reason in sent.json()["detail"]
        assert str(models) not in sent.text
    assert (ask(), ask("?version=2")) == (1, 503)
    assert states(client) == {1: "ready", 2: "failed"}
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "path", ["none/load", "none/unload", "tiny/load?version=7", "tiny/unload?version=7", "../load"]
)
def test_what_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    assert client.post(f"/models/{path}").status_code == 404


@pytest.mark.parametrize("query", ["version=0", "version=one", "versoin=1"])
def test_a_query_without_sense_does_nothing(client: TestClient, query: str) -> None:
    assert client.post(f"/models/tiny/unload?{query}").status_code == 422
    assert states(client) == {1: "ready"}


def test_unloading_the_highest_version_lets_the_one_before_answer(client: TestClient, models: Path, ask: Any) -> None:
    write_bundle(models, version=2)
    client.post("/models/tiny/load")
    assert ask() == 2
    assert client.post("/models/tiny/unload?version=2").json()["serving_version"] == 1
    assert (ask(), ask("?version=2")) == (1, 503)
    assert states(client) == {1: "ready", 2: "unloaded"}
    assert client.get("/readyz").status_code == 200
    assert 'neurotriage_model_ready{model="tiny",provider="CPUExecutionProvider",version="2"}' not in (
        client.get("/metrics").text
    )


def test_the_default_model_stays_the_default_when_it_is_unloaded(client: TestClient, models: Path, ask: Any) -> None:
    write_bundle(models, "another")
    client.post("/models/another/load")
    assert client.post("/models/tiny/unload").status_code == 200
    assert (ask(), ask("?model=another")) == (503, 1)
    body = client.get("/readyz")
    assert (body.status_code, body.json()["reason"][:4]) == (503, "tiny")
    assert client.get("/models").json()["default"] == "tiny"
    assert client.post("/models/tiny/load").status_code == 200
    assert ask() == 1
    assert client.get("/readyz").status_code == 200


def test_what_explains_is_loaded_and_unloaded_with_the_rest(
    client: TestClient, models: Path, keys: dict[Scope, str]
) -> None:
    write_explainable_bundle(models, "explains")
    headers = {"X-API-Key": keys["explain"]}
    client.post("/models/explains/load")
    assert client.post("/explain?model=explains", content=png(1), headers=headers).status_code == 200
    client.post("/models/explains/unload")
    assert client.post("/explain?model=explains", content=png(1), headers=headers).status_code == 503


def test_what_no_longer_explains_leaves_neither_gauge_nor_explainer_behind(client: TestClient, models: Path) -> None:
    write_explainable_bundle(models, "explains")
    client.post("/models/explains/load")
    app: Any = client.app
    (explainer,) = map(weakref.ref, app.state.catalogue.explainers.values())
    assert 'neurotriage_explain_ready{model="explains",version="1"} 1.0' in client.get("/metrics").text
    rmtree(models / "explains")
    write_bundle(models, "explains")
    client.post("/models/explains/load")
    told = client.get("/metrics").text
    assert 'neurotriage_model_ready{model="explains",provider="CPUExecutionProvider",version="1"} 1.0' in told
    assert not [line for line in told.splitlines() if line.startswith("neurotriage_explain_") and "explains" in line]
    until = time.monotonic() + 20
    while explainer() and time.monotonic() < until:
        time.sleep(0.05)
        gc.collect()
    assert explainer() is None


def test_while_a_load_takes_its_time_health_and_predictions_answer(client: TestClient, models: Path, ask: Any) -> None:
    write_bundle(models, version=2)
    app: Any = client.app
    repository = app.state.catalogue.repository
    entered, opened, open_session = threading.Event(), threading.Event(), repository._open_session

    def open_slowly(path: Path, card: Card) -> Session:
        entered.set()
        assert opened.wait(30)
        session: Session = open_session(path, card)
        return session

    repository._open_session = open_slowly
    with ThreadPoolExecutor(1) as operator:
        loading = operator.submit(client.post, "/models/tiny/load")
        try:
            assert entered.wait(20)
            assert client.get("/livez").status_code == client.get("/readyz").status_code == 200
            assert ask() == 1
            assert not loading.done()
        finally:
            opened.set()
        assert loading.result(20).status_code == 200
    assert ask() == 2


def test_a_session_that_cannot_be_had_in_a_load_is_a_failed_load(client: TestClient, models: Path, ask: Any) -> None:
    write_bundle(models, version=2)
    app: Any = client.app

    def fail(_: Path, __: Card) -> Session:
        raise MemoryError

    app.state.catalogue.repository._open_session = fail
    sent = client.post("/models/tiny/load?version=2")
    assert (sent.status_code, "MemoryError" in sent.json()["detail"]) == (409, True)
    assert ask() == 1


def test_golden_answers_that_are_empty_load_nothing(client: TestClient, models: Path) -> None:
    folder = write_bundle(models, version=2)
    np.savez(folder / "golden.npz", images=np.zeros((0, 32, 32), np.uint8), logits=np.zeros((0, 4), np.float32))
    write_card(folder)
    assert client.post("/models/tiny/load").status_code == 409
