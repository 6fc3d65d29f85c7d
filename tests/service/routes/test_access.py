import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.addresses import is_loopback
from service.app import create_app
from service.keys import KeyList, Scope, make_key, read_keys, write_keys
from service.routes.access import key_file
from service.settings import Settings
from tests.pictures import png


def key_for(path: Path, name: str, *scopes: Scope) -> str:
    """A key, added to the file."""
    text, key = make_key(name, frozenset(scopes))
    write_keys(path, KeyList(keys=(*(read_keys(path).keys if path.exists() else ()), key)))
    return text


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A key file, so far empty."""
    write_keys(tmp_path / "keys.json", KeyList())
    return tmp_path / "keys.json"


@pytest.fixture
def guarded(models: Path, keys: Path) -> Iterator[TestClient]:
    """A client of an app that asks for keys."""
    settings = Settings(models=models, provider="cpu", keys=keys)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/explain"])
def test_without_a_key_that_counts_nothing_is_answered(guarded: TestClient, path: str) -> None:
    for headers in (
        {},
        {"X-API-Key": "0123456789abcdef.x"},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic x"},
    ):
        sent = guarded.post(path, content=png(1), headers=headers)
        assert (sent.status_code, sent.json()["type"]) == (401, "urn:neurotriage:problem:unauthorized")
        assert sent.headers["www-authenticate"].startswith("Bearer")
    assert guarded.get("/models").status_code == 401


def test_either_header_takes_a_key_and_the_log_holds_its_name(
    guarded: TestClient, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = key_for(keys, "pacs-1", "predict")
    for headers in ({"X-API-Key": text}, {"Authorization": f"Bearer {text}"}):
        assert guarded.post("/predict", content=png(1), headers=headers).status_code == 200
        assert guarded.get("/models", headers=headers).status_code == 200
    log = capsys.readouterr().out
    assert "pacs-1" in log
    assert text.partition(".")[2] not in log
    assert text.partition(".")[0] not in log


def test_a_key_does_what_its_scopes_say_and_no_more(guarded: TestClient, keys: Path) -> None:
    predicts, explains = ({"X-API-Key": key_for(keys, name, name)} for name in ("predict", "explain"))
    assert guarded.post("/predict", content=png(1), headers=predicts).status_code == 200
    assert guarded.post("/explain", content=png(1), headers=explains).status_code == 409  # the tiny model cannot
    for path, headers in (("/predict", explains), ("/predict/batch", explains), ("/explain", predicts)):
        sent = guarded.post(path, content=png(1), headers=headers)
        assert (sent.status_code, sent.json()["type"]) == (403, "urn:neurotriage:problem:forbidden")


def test_a_revoked_key_is_refused_without_a_restart(guarded: TestClient, keys: Path) -> None:
    headers = {"X-API-Key": key_for(keys, "pacs", "predict")}
    assert guarded.post("/predict", content=png(1), headers=headers).status_code == 200
    write_keys(keys, KeyList())
    assert guarded.post("/predict", content=png(1), headers=headers).status_code == 401


def test_health_and_the_page_need_no_key(guarded: TestClient) -> None:
    for path in ("/livez", "/readyz", "/metrics", "/", "/docs", "/openapi.json"):
        assert guarded.get(path).status_code == 200, path
    for path in ("/livez", "/readyz"):
        sent = guarded.head(path)
        assert (sent.status_code, sent.content) == (200, b"")


def test_metrics_and_documentation_can_be_switched_off(models: Path) -> None:
    with TestClient(create_app(Settings(models=models, provider="cpu", metrics=False, docs=False))) as client:
        for path in ("/metrics", "/docs", "/openapi.json", "/docs/assets/swagger-ui.css"):
            assert client.get(path).status_code == 404, path


def test_beyond_loopback_it_starts_with_keys_or_with_words(keys: Path) -> None:
    for host in ("0.0.0.0", "192.168.0.7", "::", "triage.local"):  # noqa: S104 - that is what must not happen
        with pytest.raises(ValueError, match="NEUROTRIAGE_OPEN_TO_ALL=true"):
            key_file(Settings(host=host))
        assert key_file(Settings(host=host, open_to_all=True)) is None
        assert key_file(Settings(host=host, keys=keys)) is not None
    assert [is_loopback(host) for host in ("127.0.0.1", "127.3.2.1", "::1", "localhost")] == [True] * 4


def test_a_key_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("{")
    for name in ("broken", "absent"):
        with pytest.raises(ValueError, match=name):
            key_file(Settings(keys=tmp_path / name))


@pytest.mark.parametrize("path", ["/predict", "/livez", "/", "/nowhere", "/openapi.json", "/docs"])
def test_every_answer_carries_the_safe_headers(client: TestClient, path: str) -> None:
    sent = client.post(path, content=png(1)) if path == "/predict" else client.get(path)
    assert sent.headers["x-content-type-options"] == "nosniff"
    assert sent.headers["referrer-policy"] == "no-referrer"
    assert sent.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in sent.headers["content-security-policy"]
    assert sent.headers["cache-control"] == ("no-cache" if path == "/" else "no-store")
    assert "access-control-allow-origin" not in sent.headers


def test_the_openapi_document_says_how_a_key_is_sent(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert {"X-API-Key", "bearer"} <= set(json.dumps(schemes).replace('"', " ").split())
    assert document["paths"]["/predict"]["post"]["security"]
    assert "security" not in document["paths"]["/livez"]["get"]
