from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.bundles import CLASSES, write_bundle
from tests.pictures import draw, encode, png


def answer(response: Any) -> dict[str, Any]:
    """The body without what differs from call to call."""
    assert response.status_code == 200, response.text
    return {key: value for key, value in response.json().items() if key not in ("request_id", "timing_ms")}


def test_a_form_and_a_raw_body_get_the_same_answer_to_the_last_digit(client: TestClient) -> None:
    raw = client.post("/predict", content=png(1))
    form = client.post("/predict", files={"file": ("slice.png", png(1), "image/png")})
    assert answer(raw) == answer(form)


def test_the_answer_has_the_documented_fields(client: TestClient) -> None:
    body = client.post("/predict", content=png(1), headers={"X-Request-ID": "r-1"}).json()
    assert set(body) == {
        "request_id", "model", "label", "probabilities", "tumor_probability", "batch_size", "timing_ms",
    }  # fmt: skip
    assert body["request_id"] == "r-1"
    assert (body["model"]["name"], body["model"]["version"], len(body["model"]["sha256"])) == ("tiny", 1, 64)
    assert tuple(body["probabilities"]) == CLASSES
    assert set(body["timing_ms"]) == {"decode", "queue", "inference", "total"}


@pytest.mark.parametrize("content_type", ["image/png", "application/x-www-form-urlencoded", "text/plain", ""])
def test_the_content_type_of_a_raw_body_is_not_believed(client: TestClient, content_type: str) -> None:
    sent = client.post("/predict", content=encode(draw(1), "JPEG"), headers={"Content-Type": content_type})
    assert sent.status_code == 200


def test_neither_is_the_name_of_a_file(client: TestClient) -> None:
    named = client.post("/predict", files={"file": ("../../etc/no_tumor.pdf", png(1), "application/pdf")})
    assert answer(named) == answer(client.post("/predict", content=png(1)))


@pytest.mark.parametrize(
    ("content", "status", "problem"),
    [
        (b"", 422, "empty-image"),
        (b"text", 415, "not-an-image"),
        (b"%PDF-1.7", 415, "not-an-image"),
        (png(1)[:300], 422, "unreadable-image"),
        (encode(draw(1, 20, 20)), 422, "image-too-small"),
        (encode(draw(1, 1200, 1000)), 422, "image-too-large"),
        (b"x" * 500_001, 413, "body-too-large"),
    ],
)
def test_hostile_input_gets_its_problem_and_the_service_stays_ready(
    models: Path, content: bytes, status: int, problem: str
) -> None:
    settings = Settings(models=models, provider="cpu", max_pixels=1_000_000, max_body_bytes=500_000)
    with TestClient(create_app(settings)) as client:
        for sent in (client.post("/predict", content=content), client.post("/predict", files={"file": ("a", content)})):
            assert sent.status_code == status
            assert sent.headers["content-type"] == "application/problem+json"
            assert sent.json()["type"] == f"urn:neurotriage:problem:{problem}"
            assert sent.json()["request_id"] == sent.headers["x-request-id"]
        assert client.get("/readyz").json()["ready"]
        assert client.post("/predict", content=png(1)).status_code == 200


def test_a_body_without_a_declared_length_is_counted_as_it_comes(models: Path) -> None:
    chunks = iter([b"x" * 10_000] * 6)
    with TestClient(create_app(Settings(models=models, provider="cpu", max_body_bytes=50_000))) as client:
        sent = client.post("/predict", content=chunks)
    assert (sent.status_code, sent.json()["limit_bytes"]) == (413, 50_000)


BOUNDARY = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize(
    ("content", "headers", "status", "problem"),
    [
        (b"", {"Content-Type": "multipart/form-data"}, 400, "broken-form"),
        (b"nothing of the kind", BOUNDARY, 400, "broken-form"),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n", BOUNDARY, 400, "broken-form"),
        (b"--x--\r\n", BOUNDARY, 422, "missing-file"),
        (
            b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\na\r\n--x--\r\n',
            {"Content-Type": "multipart/form-data; boundary=x; charset=undefined"},
            400,
            "broken-form",
        ),
        (b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\na\r\n--x--\r\n', BOUNDARY, 422, "missing-file"),
        (b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc', BOUNDARY, 400, "broken-form"),
    ],
)
def test_a_form_without_a_picture_gets_its_problem(
    client: TestClient, content: bytes, headers: dict[str, str], status: int, problem: str
) -> None:
    sent = client.post("/predict", content=content, headers=headers)
    assert (sent.status_code, sent.json()["type"]) == (status, f"urn:neurotriage:problem:{problem}")


def test_a_form_that_is_cut_off_loses_no_file_in_silence(client: TestClient) -> None:
    request = client.build_request("POST", "/predict/batch", files=[("files", ("a", png(1))), ("files", ("b", png(2)))])
    for missing in (4, 20, 500):
        sent = client.post(
            "/predict/batch",
            content=request.read()[:-missing],
            headers={"Content-Type": request.headers["content-type"]},
        )
        assert (sent.status_code, sent.json()["type"]) == (400, "urn:neurotriage:problem:broken-form")


def test_two_pictures_are_one_too_many(client: TestClient) -> None:
    sent = client.post("/predict", files=[("file", ("a", png(1))), ("file", ("b", png(2)))])
    assert (sent.status_code, sent.json()["type"]) == (422, "urn:neurotriage:problem:several-files")


@pytest.mark.parametrize("query", ["model=none", "model=tiny&version=9", "model=..%2Ftiny"])
def test_an_unknown_model_or_version_is_not_found(client: TestClient, query: str) -> None:
    sent = client.post(f"/predict?{query}", content=png(1))
    assert (sent.status_code, sent.json()["type"]) == (404, "urn:neurotriage:problem:unknown-model")


@pytest.mark.parametrize("query", ["modle=tiny", "model=", "Version=1"])
def test_a_misspelt_parameter_is_not_taken_for_the_default(client: TestClient, query: str) -> None:
    assert client.post(f"/predict?{query}", content=png(1)).status_code == 422


@pytest.mark.parametrize("query", ["version=1&version=1", "priority=stat&priority=routine", "Jane=1&Jane=2"])
def test_a_parameter_that_comes_twice_is_refused_unnamed(client: TestClient, query: str) -> None:
    for route in ("/predict", "/predict/batch", "/explain"):
        sent = client.post(f"{route}?{query}", content=png(1))
        assert (sent.status_code, sent.json()["type"]) == (422, "urn:neurotriage:problem:bad-input")
        assert "Jane" not in sent.text


@pytest.mark.parametrize("version", ["0", "-1", "one", "1.5"])
def test_a_version_that_is_no_number_is_refused(client: TestClient, version: str) -> None:
    assert client.post(f"/predict?version={version}", content=png(1)).status_code == 422


def test_a_version_is_chosen_by_query_and_the_highest_by_default(models: Path) -> None:
    write_bundle(models, version=2, seed=5)
    with TestClient(create_app(Settings(models=models, provider="cpu"))) as client:
        default, first = client.post("/predict", content=png(1)), client.post("/predict?version=1", content=png(1))
    assert default.json()["model"]["version"] == 2
    assert first.json()["model"]["version"] == 1
    assert default.json()["probabilities"] != first.json()["probabilities"]


def test_a_batch_answers_in_order_and_keeps_the_place_of_what_failed(client: TestClient) -> None:
    contents = [png(1), b"text", png(2), b"", png(3)]
    sent = client.post("/predict/batch", files=[("files", (f"{i}.png", each)) for i, each in enumerate(contents)])
    results = sent.json()["results"]
    assert [result.get("status", 200) for result in results] == [200, 415, 200, 422, 200]
    for result, content in zip(results, contents, strict=True):
        if "label" in result:
            alone = client.post("/predict", content=content).json()["probabilities"]
            assert result["probabilities"] == pytest.approx(alone, abs=1e-6)


def test_a_batch_of_too_many_files_is_refused(models: Path) -> None:
    with TestClient(create_app(Settings(models=models, provider="cpu", max_batch_files=2))) as client:
        sent = client.post("/predict/batch", files=[("files", ("a", png(1)))] * 3)
    assert (sent.status_code, sent.json()["limit_files"]) == (422, 2)


def test_a_batch_that_is_no_form_is_refused(client: TestClient) -> None:
    assert client.post("/predict/batch", content=png(1)).json()["type"] == "urn:neurotriage:problem:missing-file"


def test_with_no_model_it_is_not_ready_and_says_so(tmp_path: Path) -> None:
    with TestClient(create_app(Settings(models=tmp_path, provider="cpu"))) as client:
        sent = client.post("/predict", content=png(1))
        assert (sent.status_code, sent.headers["retry-after"]) == (503, "5")
        assert client.get("/readyz").status_code == 503
        assert client.get("/livez").status_code == 200
