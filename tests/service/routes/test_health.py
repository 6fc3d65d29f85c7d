import asyncio

from fastapi.testclient import TestClient

from tests.pictures import png


def test_a_service_with_a_model_is_live_and_ready(client: TestClient) -> None:
    assert client.get("/livez").json() == {"live": True}
    body = client.get("/readyz").json()
    assert (body["ready"], body["reason"], body["models"][0]["state"]) == (True, None, "ready")


def test_metrics_count_what_happened(client: TestClient) -> None:
    client.post("/predict", content=png(1))
    client.post("/predict", content=b"text")
    client.get("/nowhere/with/a/patients-name")
    text = client.get("/metrics").text
    assert 'neurotriage_requests_total{route="/predict",status="200"} 1.0' in text
    assert 'neurotriage_requests_total{route="unmatched",status="404"} 1.0' in text
    assert 'neurotriage_failures_total{model="tiny",problem="not-an-image",version="1"} 1.0' in text
    assert 'neurotriage_model_ready{model="tiny",provider="CPUExecutionProvider",version="1"} 1.0' in text
    assert 'neurotriage_stage_seconds_count{model="tiny",stage="inference",version="1"} 1.0' in text
    assert "patients-name" not in text


def test_a_worker_that_dies_turns_readiness_off(client: TestClient) -> None:
    assert client.portal is not None
    client.portal.call(cancel_lanes)
    body = client.get("/readyz")
    assert (body.status_code, body.json()["models"][0]["state"]) == (503, "stopped")
    sent = client.post("/predict", content=png(1))
    assert (sent.status_code, sent.json()["type"]) == (503, "urn:neurotriage:problem:worker-died")
    assert client.get("/livez").status_code == 200
    assert client.get("/models").json()["models"][0]["versions"][0]["state"] == "stopped"


async def cancel_lanes() -> None:
    lanes = [task for task in asyncio.all_tasks() if task.get_name().startswith("lane-")]
    for lane in lanes:
        lane.cancel()
    await asyncio.gather(*lanes, return_exceptions=True)
