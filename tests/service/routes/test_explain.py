import asyncio
import base64
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import ASGITransport, AsyncClient
from PIL import Image

from service.app import create_app
from service.routes.explain import prefers_png
from service.settings import Settings
from tests.bundles import CLASSES, write_bundle
from tests.explainable import COARSE, FINE, METHODS, write_explainable_bundle
from tests.pictures import draw, encode, png

WIDTH, HEIGHT = 90, 70
PLAIN = encode(draw(1, WIDTH, HEIGHT))
AS_PNG = {"Accept": "image/png"}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    root = tmp_path / "models"
    write_explainable_bundle(root)
    return root


@pytest.fixture
def app(models: Path) -> FastAPI:
    return create_app(Settings(models=models, provider="cpu", explain_max_pictures=300, deadline_ms=120_000))


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def problem(sent: Any) -> str:
    assert sent.headers["content-type"] == "application/problem+json"
    return str(sent.json()["type"].removeprefix("urn:neurotriage:problem:"))


def opened(content: bytes) -> Image.Image:
    picture = Image.open(BytesIO(content))
    picture.load()
    return picture


def test_an_explanation_has_the_documented_fields_in_the_pictures_geometry(client: TestClient) -> None:
    body = client.post("/explain", content=PLAIN, headers={"X-Request-ID": "r-1"}).json()
    explanation = body["explanation"]
    assert set(explanation) == {
        "target", "method", "layer", "evidence", "heatmap", "peak", "box", "overlay_png",
    }  # fmt: skip
    assert (body["request_id"], explanation["target"]) == ("r-1", body["label"])
    assert (explanation["method"], explanation["layer"], explanation["evidence"]) == ("gradcam", COARSE, True)
    heatmap, peak, box = np.array(explanation["heatmap"]), explanation["peak"], explanation["box"]
    assert heatmap.shape == (HEIGHT, WIDTH)
    assert 0 <= heatmap.min() < heatmap.max() <= 1
    assert heatmap[peak["y"], peak["x"]] >= heatmap.max() - 0.002
    assert (heatmap[box["top"] : box["bottom"], box["left"] : box["right"]] >= heatmap.max() / 2).sum() == (
        heatmap >= heatmap.max() / 2
    ).sum()
    overlay = opened(base64.b64decode(explanation["overlay_png"]))
    assert (overlay.format, overlay.size, overlay.mode) == ("PNG", (WIDTH, HEIGHT), "RGB")


@pytest.mark.parametrize("seed", range(4))
def test_the_prediction_is_that_of_predict(client: TestClient, seed: int) -> None:
    plain, explained = (
        client.post("/predict", content=png(seed)).json(),
        client.post("/explain", content=png(seed)).json(),
    )
    assert set(explained) - set(plain) == {"explanation"}
    assert set(plain) <= set(explained)
    assert (explained["label"], explained["model"]) == (plain["label"], plain["model"])
    assert explained["probabilities"] == pytest.approx(plain["probabilities"], abs=1e-4)
    assert explained["tumor_probability"] == pytest.approx(plain["tumor_probability"], abs=1e-4)


def test_a_form_and_a_raw_body_get_the_same_explanation(client: TestClient) -> None:
    raw = client.post("/explain", content=PLAIN)
    form = client.post("/explain", files={"file": ("slice.png", PLAIN, "image/png")})
    assert raw.json()["explanation"] == form.json()["explanation"]


@pytest.mark.parametrize("query", ["target=all", "targets=all"])
def test_all_targets_come_as_one_explanation_a_class(client: TestClient, query: str) -> None:
    body = client.post(f"/explain?{query}&method=hirescam&layer={FINE}", content=PLAIN).json()
    assert "explanation" not in body
    assert [each["target"] for each in body["explanations"]] == list(CLASSES)
    for each in body["explanations"]:
        alone = client.post(f"/explain?target={each['target']}&method=hirescam&layer={FINE}", content=PLAIN).json()
        assert_alike([each], [alone["explanation"]])


def test_a_png_alone_is_the_overlay_with_the_answer_in_its_headers(client: TestClient) -> None:
    query = "/explain?target=glioma&method=layercam&colormap=magma&alpha=0.7"
    body, sent = client.post(query, content=PLAIN).json(), client.post(query, content=PLAIN, headers=AS_PNG)
    explanation = body["explanation"]
    assert sent.headers["content-type"] == "image/png"
    assert sent.content == base64.b64decode(explanation["overlay_png"])
    headers = {name.removeprefix("x-neurotriage-"): value for name, value in sent.headers.items()}
    assert (headers["model"], headers["label"], headers["target"]) == ("tiny/1", body["label"], "glioma")
    assert (headers["method"], headers["layer"]) == ("layercam", COARSE)
    assert float(headers["probability"]) == pytest.approx(body["probabilities"][body["label"]], abs=1e-4)
    assert float(headers["tumor-probability"]) == pytest.approx(body["tumor_probability"], abs=1e-4)
    assert headers["evidence"] == str(explanation["evidence"]).lower()
    if explanation["peak"]:
        assert headers["peak"] == f"{explanation['peak']['x']},{explanation['peak']['y']}"
    else:
        assert "peak" not in headers


@pytest.mark.parametrize(
    ("accept", "png"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("image/png", True),
        ("image/*", True),
        ("IMAGE/PNG; q=0.8, application/json;q=0.5", True),
        ("image/png;q=0.5, application/json", False),
        ("image/png, */*;q=0.1", True),
        ("image/png;q=0, */*", False),
        ("image/png;q=never", True),
        (",;,", False),
    ],
)
def test_the_accept_header_chooses_between_json_and_png(accept: str, png: bool) -> None:
    assert prefers_png(accept) is png


def test_an_accept_header_on_two_lines_is_one(client: TestClient) -> None:
    lines = [("Accept", "application/json;q=0.5"), ("Accept", "image/png")]
    sent = client.post("/explain", content=PLAIN, headers=lines)
    assert sent.headers["content-type"] == "image/png"


def test_one_png_cannot_show_every_class(client: TestClient) -> None:
    sent = client.post("/explain?target=all", content=PLAIN, headers=AS_PNG)
    assert (sent.status_code, problem(sent)) == (422, "several-overlays")


def test_without_evidence_the_map_is_empty_and_the_picture_unchanged(client: TestClient) -> None:
    answers = [client.post("/explain?target=all", content=encode(draw(seed, 64, 64))).json() for seed in range(6)]
    empty = [(seed, each) for seed, body in enumerate(answers) for each in body["explanations"] if not each["evidence"]]
    assert empty
    for seed, each in empty:
        assert (each["peak"], each["box"]) == (None, None)
        assert not np.any(each["heatmap"])
        overlay = opened(base64.b64decode(each["overlay_png"]))
        assert (np.asarray(overlay.convert("L")) == np.asarray(draw(seed, 64, 64))).all()


@pytest.mark.parametrize(
    ("query", "parameter", "offered"),
    [
        ("target=stroke", "target", [*CLASSES, "all"]),
        ("method=magic", "method", list(METHODS)),
        ("layer=stem", "layer", [COARSE, FINE]),
        ("colormap=rainbow", "colormap", ["viridis", "magma", "turbo", "jet"]),
    ],
)
def test_what_is_not_offered_is_refused_with_what_is(
    client: TestClient, query: str, parameter: str, offered: list[str]
) -> None:
    sent = client.post(f"/explain?{query}", content=PLAIN)
    body = sent.json()
    assert (sent.status_code, problem(sent)) == (422, "not-offered")
    assert (body["parameter"], body["offered"]) == (parameter, offered)
    assert query.partition("=")[2] not in body["detail"]


@pytest.mark.parametrize("name", ["target", "method", "layer", "colormap", "model"])
def test_an_empty_name_is_not_taken_for_the_default(client: TestClient, name: str) -> None:
    assert client.post(f"/explain?{name}=", content=PLAIN).status_code == 422


@pytest.mark.parametrize("query", ["alpha=1.1", "alpha=-0.1", "alpha=nan", "alpha=much", "clas=glioma", "targets=one"])
def test_a_parameter_that_means_nothing_is_refused(client: TestClient, query: str) -> None:
    sent = client.post(f"/explain?{query}", content=PLAIN)
    assert (sent.status_code, problem(sent)) == (422, "bad-input")


def test_a_bundle_without_gradients_still_predicts(models: Path) -> None:
    write_bundle(models, "plain")
    with TestClient(create_app(Settings(models=models, provider="cpu"))) as client:
        sent = client.post("/explain?model=plain", content=PLAIN)
        assert (sent.status_code, problem(sent)) == (409, "not-explainable")
        assert client.post("/predict?model=plain", content=PLAIN).status_code == 200
        assert client.post("/explain?model=none", content=PLAIN).status_code == 404
        assert client.get("/readyz").json()["ready"]


@pytest.mark.parametrize(
    ("content", "status"), [(b"", 422), (b"text", 415), (png(1)[:300], 422), (encode(Image.new("L", (40, 40), 9)), 422)]
)
def test_a_picture_is_refused_as_predict_refuses_it(client: TestClient, content: bytes, status: int) -> None:
    explained, predicted = client.post("/explain", content=content), client.post("/predict", content=content)
    assert (explained.status_code, predicted.status_code) == (status, status)
    assert problem(explained) == problem(predicted)


def test_a_flood_of_explanations_is_refused_and_predictions_go_on(models: Path) -> None:
    app = create_app(Settings(models=models, provider="cpu", explain_max_pictures=2))

    async def work() -> list[int]:
        async with app.router.lifespan_context(app), caller(app) as client:
            explained = [client.post("/explain", content=png(seed)) for seed in range(20)]
            predicted = [client.post("/predict", content=png(seed)) for seed in range(20)]
            return [sent.status_code for sent in await asyncio.gather(*explained, *predicted)]

    statuses = asyncio.run(asyncio.wait_for(work(), 120))
    assert set(statuses[:20]) == {200, 503}
    assert set(statuses[20:]) == {200}


def test_300_callers_at_once_get_their_own_explanation(app: FastAPI) -> None:
    questions = [
        (
            encode(draw(seed, 60 + seed % 7, 50 + seed % 11)),
            {
                "target": (*CLASSES, "all")[seed % 5],
                "method": METHODS[seed // 5 % 5],
                "layer": (COARSE, FINE)[seed // 25 % 2],
                "colormap": ("viridis", "jet")[seed % 2],
            },
        )
        for seed in range(300)
    ]

    async def work() -> tuple[list[Any], list[Any]]:
        async with app.router.lifespan_context(app), caller(app) as client:
            alone = [await client.post("/explain", params=query, content=content) for content, query in questions]
            calls = [client.post("/explain", params=query, content=content) for content, query in questions]
            return [lasting(sent) for sent in alone], [lasting(sent) for sent in await asyncio.gather(*calls)]

    alone, together = asyncio.run(asyncio.wait_for(work(), 240))
    for first, second in zip(alone, together, strict=True):
        assert second["probabilities"] == pytest.approx(first["probabilities"], abs=1e-6)
        assert_alike(second["explanations"], first["explanations"])
    assert len({str(each["explanations"]) for each in alone}) == 300


def assert_alike(ones: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    """The same explanations, but for the last bits by which batches of another size may differ."""
    for one, other in zip(ones, others, strict=True):
        assert [one[name] for name in ("target", "method", "layer", "evidence")] == [
            other[name] for name in ("target", "method", "layer", "evidence")
        ]
        assert np.allclose(one["heatmap"], other["heatmap"], atol=0.0011)
        pixels = [np.asarray(opened(base64.b64decode(each["overlay_png"]))).astype(int) for each in (one, other)]
        assert np.abs(pixels[0] - pixels[1]).max() <= 3


def caller(app: FastAPI) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app), base_url="http://test", timeout=60)


def lasting(sent: Any) -> dict[str, Any]:
    """What of an answer does not differ from call to call."""
    assert sent.status_code == 200, sent.text
    body = sent.json()
    explanations = body["explanations"] if "explanations" in body else [body["explanation"]]
    return {"probabilities": body["probabilities"], "explanations": explanations}


def test_openapi_documents_the_route_with_its_parameters_answers_and_examples(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    route, schemas = document["paths"]["/explain"]["post"], document["components"]["schemas"]
    assert {each["name"] for each in route["parameters"]} == {
        "target", "targets", "method", "layer", "colormap", "alpha", "model", "version", "priority",
        "X-Request-Timeout-Ms",
    }  # fmt: skip
    assert all(each["description"] for each in route["parameters"])
    assert {"200", "404", "409", "413", "415", "422", "503", "504"} <= set(route["responses"])
    answer = route["responses"]["200"]
    assert {"application/json", "image/png"} == set(answer["content"])
    assert "X-NeuroTriage-Label" in answer["headers"]
    assert "multipart/form-data" in route["requestBody"]["content"]
    for name in ("target", "method", "layer", "heatmap", "peak", "box"):
        assert schemas["ExplanationView"]["properties"][name].get("examples"), name
