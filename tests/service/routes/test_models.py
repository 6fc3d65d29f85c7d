from pathlib import Path

from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.bundles import write_bundle
from tests.pictures import png


def test_models_are_listed_with_their_versions_provider_and_plan(client: TestClient) -> None:
    body = client.get("/models").json()
    assert body["default"] == "tiny"
    (version,) = body["models"][0]["versions"]
    assert (version["version"], version["state"], version["provider"]) == (1, "ready", "CPUExecutionProvider")
    assert version["plan"]["max_batch_size"] == 2
    assert version["plan"]["threads_per_lane"] == 1


def test_a_broken_bundle_is_listed_with_its_reason(models: Path) -> None:
    (write_bundle(models, version=2) / "model.onnx").write_bytes(b"broken")
    with TestClient(create_app(Settings(models=models, provider="cpu"))) as client:
        body = client.get("/models/tiny").json()
        assert body["serving_version"] == 1
        assert body["versions"][1]["state"] == "failed"
        assert "checksum" in body["versions"][1]["reason"]
        assert client.post("/predict?version=2", content=b"x").status_code == 503
        assert client.get("/readyz").json()["ready"]


def test_a_version_shows_its_card(client: TestClient) -> None:
    body = client.get("/models/tiny/versions/1").json()
    assert (body["name"], body["default"], body["card"]["temperature"]) == ("tiny", True, 1.5)
    assert body["card"]["limitations"] == ["knows nothing"]


def test_what_is_not_there_is_not_found(client: TestClient) -> None:
    for path in ("/models/none", "/models/tiny/versions/3", "/models/none/versions/1"):
        assert client.get(path).status_code == 404


def test_a_broken_bundle_whose_name_comes_first_is_not_the_default(models: Path) -> None:
    (models / "aaa" / "1").mkdir(parents=True)
    with TestClient(create_app(Settings(models=models, provider="cpu"))) as client:
        assert client.get("/models").json()["default"] == "tiny"
        assert client.get("/readyz").status_code == 200


def test_the_default_model_is_the_settings(models: Path) -> None:
    write_bundle(models, "alpha")
    with TestClient(create_app(Settings(models=models, provider="cpu", default_model="tiny"))) as client:
        assert client.get("/models").json()["default"] == "tiny"


def test_a_default_model_that_is_not_there_is_not_ready(models: Path) -> None:
    with TestClient(create_app(Settings(models=models, provider="cpu", default_model="none"))) as client:
        assert client.get("/readyz").status_code == 503
        sent = client.post("/predict", content=png(1))
        assert (sent.status_code, sent.json()["type"]) == (503, "urn:neurotriage:problem:not-ready")
        assert "'none'" in sent.json()["detail"] == client.get("/readyz").json()["reason"]


def test_a_version_says_what_it_computes_in(models: Path) -> None:
    write_bundle(models, version=2, precision="int8")
    with TestClient(create_app(Settings(models=models, provider="cpu"))) as client:
        versions = client.get("/models/tiny").json()["versions"]
        assert [version["precision"] for version in versions] == ["fp32", "int8"]
        assert client.get("/models/tiny/versions/2").json()["card"]["precision"] == "int8"


def test_integers_never_answer_by_default_where_a_float_model_serves(models: Path) -> None:
    write_bundle(models, "alpha", precision="int8")
    with TestClient(create_app(Settings(models=models, provider="cpu"))) as client:
        assert client.get("/models").json()["default"] == "tiny"
