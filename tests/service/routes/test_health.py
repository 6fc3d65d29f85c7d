import asyncio
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from service.app import create_app
from service.settings import Settings
from tests.explainable import write_explainable_bundle
from tests.pictures import png


def test_a_service_with_a_model_is_live_and_ready(client: TestClient) -> None:
    assert client.get("/livez").json() == {"live": True}
    body = client.get("/readyz").json()
    assert (body["ready"], body["reason"], body["models"][0]["state"]) == (True, None, "ready")


READABLE = ["/livez", "/readyz", "/metrics", "/models", "/models/tiny", "/models/tiny/versions/1", "/", "/docs"]


@pytest.mark.parametrize("path", READABLE)
def test_what_takes_get_takes_head_and_says_so(client: TestClient, path: str) -> None:
    refused = client.post(path)
    assert (refused.status_code, set(refused.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})
    read, told = client.get(path), client.head(path)
    assert (read.status_code, told.status_code) == (200, 200)
    assert read.headers["content-type"] == told.headers["content-type"]


def test_openapi_shows_what_is_read_by_get_alone(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for path in ("/livez", "/readyz", "/metrics", "/models", "/models/{name}", "/models/{name}/versions/{version}"):
        assert set(paths[path]) == {"get"}
    assert "head" not in {method for path in paths.values() for method in path}


def test_a_start_without_a_model_that_could_answer_is_told_by_log_and_readiness(tmp_path: Path) -> None:
    with capture_logs() as lines, TestClient(create_app(Settings(models=tmp_path / "mistyped"))) as client:
        assert client.get("/readyz").json()["reason"] == "the repository holds no model"
    told = {"event": "not-ready", "log_level": "error", "reason": "the repository holds no model"}
    assert [line for line in lines if line["event"] == "not-ready"] == [told]


def test_metrics_count_what_happened(client: TestClient) -> None:
    client.post("/predict", content=png(1))
    client.post("/predict", content=b"text")
    client.get("/nowhere/with/a/patients-name")
    text = client.get("/metrics").text
    assert 'neurotriage_requests_total{route="/predict",status="200"} 1.0' in text
    assert 'neurotriage_requests_total{route="unmatched",status="404"} 1.0' in text
    assert 'neurotriage_failures_total{model="tiny",problem="not-an-image",version="1"} 1.0' in text
    assert 'neurotriage_model_ready{model="tiny",provider="CPUExecutionProvider",version="1"} 1.0' in text
    counts = {"decoder_queue": 0, "decode": 2, "preprocess": 1, "queue": 1, "infer": 1, "postprocess": 1}
    for stage, count in counts.items():
        assert f'neurotriage_stage_seconds_count{{model="tiny",stage="{stage}",version="1"}} {count}.0' in text
    assert "patients-name" not in text


def test_a_worker_that_dies_once_is_back_before_anybody_notices(client: TestClient) -> None:
    assert client.portal is not None
    client.portal.call(cancel_lanes, "lane-", 1)
    assert client.post("/predict", content=png(1)).status_code == 200
    assert client.get("/readyz").status_code == 200
    assert 'neurotriage_lane_faults_total{fault="died",model="tiny",queue="predict"' in client.get("/metrics").text


def test_metrics_count_every_refusal_by_route_and_reason(client: TestClient) -> None:
    client.post("/predict", content=b"")
    client.post("/predict?model=unheard-of", content=png(1))
    client.post("/explain", content=png(1))
    client.post("/predict", content=bytes(20_000_001))
    text = client.get("/metrics").text
    for route, problem in (
        ("/predict", "empty-image"),
        ("/predict", "unknown-model"),
        ("/explain", "not-explainable"),
        ("/predict", "body-too-large"),
    ):
        assert f'neurotriage_problems_total{{problem="{problem}",route="{route}"}} 1.0' in text


def test_a_worker_that_dies_again_and_again_turns_readiness_off(client: TestClient) -> None:
    assert client.portal is not None
    client.portal.call(cancel_lanes)
    body = client.get("/readyz")
    assert (body.status_code, body.json()["models"][0]["state"]) == (503, "stopped")
    sent = client.post("/predict", content=png(1))
    assert (sent.status_code, sent.json()["type"]) == (503, "urn:neurotriage:problem:worker-died")
    assert client.get("/livez").status_code == 200
    assert client.get("/models").json()["models"][0]["versions"][0]["state"] == "stopped"


def test_an_explain_lane_that_dies_is_named_and_predictions_go_on(models: Path) -> None:
    write_explainable_bundle(models, "explains")
    with TestClient(create_app(Settings(models=models, provider="cpu", default_model="explains"))) as client:
        assert explain_states(client) == {"explains": "ready", "tiny": None}
        assert client.portal is not None
        client.portal.call(cancel_lanes, "explain-lane-")
        assert explain_states(client) == {"explains": "stopped", "tiny": None}
        sent = client.post("/explain", content=png(1))
        assert (sent.status_code, sent.json()["type"]) == (503, "urn:neurotriage:problem:worker-died")
        assert client.post("/predict", content=png(1)).status_code == 200
        assert client.get("/models/explains").json()["versions"][0]["explain"] == "stopped"
        assert 'neurotriage_explain_ready{model="explains",version="1"} 0.0' in client.get("/metrics").text


def explain_states(client: TestClient) -> dict[str, str | None]:
    """What a service that is ready to predict says of each model's explain lane."""
    sent = client.get("/readyz")
    assert (sent.status_code, sent.json()["ready"]) == (200, True)
    return {each["name"]: each["explain"] for each in sent.json()["models"]}


async def cancel_lanes(prefix: str = "lane-", times: int = 7) -> None:
    """End every lane's task so many times; from the second time on each waits longer before it is back."""
    for _ in range(times):
        lanes = [task for task in asyncio.all_tasks() if task.get_name().startswith(prefix)]
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        await asyncio.sleep(0.01)
