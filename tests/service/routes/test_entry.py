from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.requests import Request

from service.app import create_app
from service.keys import KeyList, make_key, write_keys
from service.routes.access import client_of
from service.settings import Settings
from tests.explainable import write_explainable_bundle
from tests.pictures import png


def serve(models: Path, **changes: Any) -> TestClient:
    app = create_app(Settings(models=models, provider="cpu", **changes))
    return TestClient(app, raise_server_exceptions=False)


def held(app: Any) -> tuple[int, int]:
    """Visits and bytes that the app counts now."""
    assert isinstance(app, FastAPI)
    return app.state.intake.visits, app.state.intake.held_bytes


def test_every_answer_gives_back_what_its_body_held(client: TestClient) -> None:
    for content in (png(1), b"text", b""):
        client.post("/predict", content=content)
        client.post("/explain", content=content)
        client.post("/predict/batch", files=[("files", content), ("files", png(2))])
    assert held(client.app) == (0, 0)
    assert "neurotriage_held_bytes 0.0" in client.get("/metrics").text


def test_bodies_beyond_the_room_for_all_are_refused_and_others_are_not(models: Path) -> None:
    limits = {"max_body_bytes": 50_000, "max_batch_body_bytes": 50_000, "max_bytes_in_flight": 50_000}
    with serve(models, **limits) as client:
        app: Any = client.app
        app.state.intake.held_bytes = 50_000 - len(png(1))  # as an upload that has stalled would
        sent = client.post("/predict", content=png(1) + bytes(1))
        assert (sent.status_code, sent.json()["type"]) == (503, "urn:neurotriage:problem:no-room")
        assert sent.headers["retry-after"] == "1"
        assert client.post("/predict", content=png(1)).status_code == 200


def trickle(content: bytes) -> Iterator[bytes]:
    """A body in many chunks."""
    for start in range(0, len(content), 100):
        yield content[start : start + 100]


def test_a_chunked_body_is_counted_as_it_comes(models: Path) -> None:
    limits = {"max_body_bytes": 50_000, "max_batch_body_bytes": 50_000, "max_bytes_in_flight": 50_000}
    with serve(models, **limits) as client:
        app: Any = client.app
        app.state.intake.held_bytes = 49_500
        assert client.post("/predict", content=trickle(png(1))).status_code == 503
        assert held(client.app) == (0, 49_500)


def test_a_client_beyond_its_rate_is_told_when_to_come_back(models: Path) -> None:
    with serve(models, rate_per_minute=1, rate_burst=2) as client:
        statuses = [client.post("/predict", content=png(1)).status_code for _ in range(3)]
        sent = client.post("/explain", content=png(1))
        assert statuses == [200, 200, 429]
        assert (sent.status_code, sent.json()["type"]) == (429, "urn:neurotriage:problem:rate-limited")
        assert 1 <= int(sent.headers["retry-after"]) <= 60
        assert client.get("/readyz").status_code == client.get("/models").status_code == 200


def test_a_batch_costs_its_pictures(models: Path) -> None:
    with serve(models, rate_per_minute=1, rate_burst=4) as client:
        assert client.post("/predict/batch", files=[("files", png(each)) for each in range(4)]).status_code == 200
        assert client.post("/predict", content=png(1)).status_code == 429


def test_keys_from_one_address_have_a_rate_each(models: Path, tmp_path: Path) -> None:
    made = [make_key(name, frozenset({"predict"})) for name in ("pacs", "ris")]
    write_keys(tmp_path / "keys.json", KeyList(keys=tuple(key for _, key in made)))
    with serve(models, rate_per_minute=1, rate_burst=1, keys=tmp_path / "keys.json") as client:
        for text, _ in made:
            headers = {"X-API-Key": text}
            assert [client.post("/predict", content=png(1), headers=headers).status_code for _ in range(2)] == [
                200,
                429,
            ]


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("x", "x"),
    ],
)
def test_a_machine_with_many_addresses_is_one_client(host: str, client: str) -> None:
    scope = {"type": "http", "headers": [], "client": (host, 1), "state": {"noted": {}}}
    assert client_of(Request(scope)) == client


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/explain"])
def test_while_draining_readiness_is_off_and_new_work_is_refused(client: TestClient, path: str) -> None:
    app: Any = client.app
    app.state.intake.draining = True
    sent = client.post(path, content=png(1))
    assert (sent.status_code, sent.json()["type"]) == (503, "urn:neurotriage:problem:not-ready")
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["reason"]) == (503, "the service is going away")
    assert client.get("/livez").status_code == 200


FORM = (b"content-type", b"multipart/form-data; boundary=x")


async def status_unread(app: Any, path: str) -> int:
    """The status of a POST whose body must not be asked for."""
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("the body was read")

    async def send(message: MutableMapping[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": [FORM]}
    await app(scope, receive, send)
    return statuses[0]


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/explain"])
def test_a_full_queue_refuses_before_the_body_is_read(models: Path, path: str) -> None:
    write_explainable_bundle(models, "explains")
    with serve(models, default_model="explains") as client:
        app: Any = client.app
        assert client.portal is not None
        app.state.catalogue.predictor()._admitted.own = app.state.catalogue.explainer()._admitted.own = 10_000
        assert client.portal.call(status_unread, app, path) == 503
        app.state.catalogue.predictor()._admitted.own = app.state.catalogue.explainer()._admitted.own = 0
        assert client.portal.call(status_unread, app, path) == 500  # the AssertionError: then it does read
