import json
import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.app import create_app
from service.errors import ServiceError
from service.settings import Settings
from tests.service.test_errors import tree


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.mark.parametrize("kind", tree())
def test_every_error_of_the_tree_becomes_its_problem(app: FastAPI, kind: type[ServiceError]) -> None:
    @app.get("/raise")
    async def fail() -> None:
        raise kind from RuntimeError("/secret/path")

    with TestClient(app) as client:
        sent = client.get("/raise", headers={"X-Request-ID": "r-7"})
    body = sent.json()
    assert sent.headers["content-type"] == "application/problem+json"
    assert (sent.status_code, body["status"], body["title"]) == (kind.status, kind.status, kind.title)
    assert (body["request_id"], body["instance"]) == ("r-7", "urn:neurotriage:request:r-7")
    assert "secret" not in sent.text


def test_a_fault_of_ours_is_a_500_that_says_nothing_of_its_cause(app: FastAPI) -> None:
    @app.get("/raise")
    async def fail() -> None:
        raise KeyError("/secret/path")

    with TestClient(app) as client:
        sent = client.get("/raise")
        assert client.get("/readyz").status_code == 200
    assert (sent.status_code, sent.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in sent.text


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nope", 404), ("GET", "/predict", 405)])
def test_the_frameworks_own_refusals_are_problems_too(client: TestClient, method: str, path: str, status: int) -> None:
    sent = client.request(method, path)
    assert (sent.status_code, sent.headers["content-type"]) == (status, "application/problem+json")
    assert sent.json()["request_id"] == sent.headers["x-request-id"]


def test_a_bad_parameter_is_not_repeated_in_the_answer(client: TestClient) -> None:
    sent = client.post("/predict?version=Jane-Doe", content=b"")
    assert sent.status_code == 422
    assert "Jane" not in sent.text


def test_the_openapi_document_names_every_route_with_its_problems(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        "/predict", "/predict/batch", "/explain", "/models", "/models/{name}", "/models/{name}/versions/{version}",
        "/models/{name}/load", "/models/{name}/unload",
        "/livez", "/readyz", "/metrics",
    }  # fmt: skip
    body = paths["/predict"]["post"]
    assert {"200", "413", "415", "422", "503", "504"} <= set(body["responses"])
    assert "multipart/form-data" in body["requestBody"]["content"]
    assert "Jane" not in json.dumps(paths)


def test_the_documentation_page_needs_no_other_host(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "//" not in page.text.replace("// ", "")
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert client.get(asset).status_code == 200
