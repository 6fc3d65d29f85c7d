import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.keys import KeyList, make_key, write_keys
from service.settings import Settings
from tests.explainable import write_explainable_bundle
from tests.pictures import png


def serve(models: Path, audit: Path, **changes: Any) -> TestClient:
    return TestClient(create_app(Settings(models=models, provider="cpu", audit=audit, **changes)))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_an_answer_leaves_a_line_of_who_asked_what_answered_and_which_picture(models: Path, tmp_path: Path) -> None:
    text, key = make_key("pacs", frozenset({"predict"}))
    write_keys(tmp_path / "keys.json", KeyList(keys=(key,)))
    with serve(models, tmp_path / "audit", keys=tmp_path / "keys.json") as client:
        body = client.post("/predict", content=png(1), headers={"X-API-Key": text, "X-Request-ID": "r-1"}).json()
    (line,) = lines(tmp_path / "audit")
    assert line.pop("timestamp")
    assert line == {
        "event": "audit",
        "request_id": "r-1",
        "key": "pacs",
        "route": "/predict",
        "item": 0,
        "model": "tiny",
        "version": 1,
        "model_sha256": body["model"]["sha256"],
        "image_sha256": sha256(png(1)),
        "label": body["label"],
        "probability": body["probabilities"][body["label"]],
    }


def test_of_a_batch_each_answer_has_its_own_line_and_a_refusal_none(models: Path, tmp_path: Path) -> None:
    with serve(models, tmp_path / "audit") as client:
        sent = client.post("/predict/batch", files=[("files", each) for each in (png(1), b"text", png(2))])
        client.post("/predict", content=b"text")
    assert [result.get("status", 200) for result in sent.json()["results"]] == [200, 415, 200]
    kept = lines(tmp_path / "audit")
    assert [(line["item"], line["image_sha256"]) for line in kept] == [(0, sha256(png(1))), (2, sha256(png(2)))]


def test_an_explanation_leaves_its_targets_and_its_method(models: Path, tmp_path: Path) -> None:
    write_explainable_bundle(models, "explains")
    with serve(models, tmp_path / "audit", default_model="explains") as client:
        body = client.post("/explain?target=glioma", content=png(1)).json()
    (line,) = lines(tmp_path / "audit")
    assert (line["route"], line["targets"], line["method"]) == ("/explain", ["glioma"], body["explanation"]["method"])
    assert (line["label"], line["probability"]) == (body["label"], body["probabilities"][body["label"]])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_with_a_full_disk_answers_go_on_and_readiness_metrics_and_log_tell(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(models, Path("/dev/full")) as client:
        assert client.get("/readyz").json()["audit"] == "ok"
        assert client.post("/predict", content=png(1)).status_code == 200
        client.app.state.audit.close()  # type: ignore[attr-defined]  # waits until the line was tried
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["audit"]) == (200, "failing")
        assert "neurotriage_audit_lost_total 1.0" in client.get("/metrics").text
    assert "audit-failing" in capsys.readouterr().out


def test_nothing_is_kept_unless_asked_for(client: TestClient, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    client.post("/predict", content=png(1))
    assert client.get("/readyz").json()["audit"] is None
    assert set(tmp_path.rglob("*")) == before
