import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.routes.request import urgency_of
from service.settings import Settings
from tests.explainable import write_explainable_bundle
from tests.fakes import Gate
from tests.pictures import png

HEADER = "X-Request-Timeout-Ms"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write_explainable_bundle(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", ["/predict", "/explain"])
@pytest.mark.parametrize("priority", ["stat", "routine"])
def test_either_priority_is_answered_and_any_other_refused(client: TestClient, path: str, priority: str) -> None:
    assert client.post(f"{path}?priority={priority}", content=png(1)).status_code == 200
    assert client.post(f"{path}?priority={priority.upper()}", content=png(1)).status_code == 422


def test_the_time_in_the_queue_is_measured_by_priority(client: TestClient) -> None:
    client.post("/predict?priority=stat", content=png(1))
    client.post("/predict/batch", files=[("files", png(1)), ("files", png(2))])
    text = client.get("/metrics").text
    assert 'neurotriage_queue_seconds_count{model="tiny",priority="stat",version="1"} 1.0' in text
    assert 'neurotriage_queue_seconds_count{model="tiny",priority="routine",version="1"} 2.0' in text


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/explain"])
@pytest.mark.parametrize("sent", ["0", "-1", "soon", "1.5", "", "inf", "9" * 5000])
def test_a_timeout_without_sense_is_a_problem(client: TestClient, path: str, sent: str) -> None:
    answer = client.post(path, content=png(1), headers={HEADER: sent})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:neurotriage:problem:bad-input")


def held(client: TestClient) -> Gate:
    """Keep both lanes from returning before the gate is opened."""
    app: Any = client.app
    gate = Gate()
    serving = app.state.catalogue._serving["tiny", 1]
    for batcher in (serving.predictor._batcher, serving.explainer._batcher):
        batcher._run = lambda payloads, run=batcher._run: [gate([1]), run(payloads)][1]
    return gate


@pytest.mark.parametrize("path", ["/predict", "/explain"])
def test_past_a_clients_own_timeout_it_is_told_504(client: TestClient, path: str) -> None:
    gate = held(client)
    sent = client.post(path, content=png(1), headers={HEADER: "60"})
    gate.open()
    assert (sent.status_code, sent.json()["type"]) == (504, "urn:neurotriage:problem:deadline-exceeded")
    assert client.post(path, content=png(1), headers={HEADER: "20000"}).status_code == 200


def test_a_batch_past_its_clients_timeout_names_each_file_that_was_late(client: TestClient) -> None:
    gate = held(client)
    started = time.monotonic()
    sent = client.post("/predict/batch", files=[("files", png(each)) for each in range(40)], headers={HEADER: "80"})
    gate.open()
    assert {each["status"] for each in sent.json()["results"]} == {504}
    assert time.monotonic() - started < 10  # not the service's own deadline, and not 80 ms a file either


def test_a_client_may_not_lengthen_the_deadline(models: Path) -> None:
    with TestClient(create_app(Settings(models=models, provider="cpu", deadline_ms=60))) as client:
        gate = held(client)
        assert client.post("/predict", content=png(1), headers={HEADER: "20000"}).status_code == 504
        gate.open()


def test_without_the_header_the_client_waits_as_long_as_the_service_does() -> None:
    assert urgency_of("stat", None) == ("stat", math.inf)
    assert urgency_of("stat", 1000).ends == pytest.approx(time.perf_counter() + 1, abs=0.5)


def test_the_openapi_document_shows_priority_and_timeout(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for path in ("/predict", "/predict/batch", "/explain"):
        parameters = {each["name"]: each for each in paths[path]["post"]["parameters"]}
        assert parameters["priority"]["schema"]["enum"] == ["stat", "routine"]
        assert parameters[HEADER]["in"] == "header"
        assert "priority" not in json.dumps(paths["/models"])
