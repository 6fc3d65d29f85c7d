import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service import app as app_module
from service.app import create_app
from service.settings import Settings
from service.spans import OpenTelemetry
from tests.explainable import write_explainable_bundle
from tests.pictures import png

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What an app that is made from now on exports."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(app_module, "open_tracing", lambda _: OpenTelemetry(provider))
    return exporter


@pytest.fixture
def traced(models: Path, spans: InMemorySpanExporter) -> Iterator[TestClient]:
    write_explainable_bundle(models, "explains")
    chosen = Settings(models=models, provider="cpu", default_model="tiny")
    with TestClient(create_app(chosen), raise_server_exceptions=False) as client:
        spans.clear()
        yield client


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def trace_ids(span: ReadableSpan) -> set[str]:
    return {f"{link.context.trace_id:032x}" for link in span.links}


def test_the_callers_trace_goes_on_and_comes_back(traced: TestClient, spans: InMemorySpanExporter) -> None:
    sent = traced.post("/predict", content=png(1), headers={"traceparent": SENT, "X-Request-ID": "r-1"})
    (span,) = named(spans, "POST /predict")
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, SPAN)
    assert sent.headers["traceparent"] == f"00-{TRACE}-{span.context.span_id:016x}-01"
    assert dict(span.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "neurotriage.request_id": "r-1",
        "neurotriage.model": "tiny",
        "neurotriage.version": 1,
        "neurotriage.batch_size": 1,
    }


@pytest.mark.parametrize("broken", ["", "x", f"00-{'0' * 32}-{SPAN}-01", f"ff-{TRACE}-{SPAN}-01", SENT + "0" * 200])
def test_a_broken_traceparent_begins_a_new_trace(traced: TestClient, broken: str) -> None:
    sent = traced.post("/predict", content=png(1), headers={"traceparent": broken})
    assert sent.status_code == 200
    assert TRACE not in sent.headers["traceparent"]
    assert sent.headers["traceparent"].split("-")[1] != "0" * 32


def test_a_batch_is_a_span_that_links_to_each_of_its_requests(models: Path, spans: InMemorySpanExporter) -> None:
    waits: dict[str, Any] = {"max_batch_size": 3, "lanes": 1, "max_queue_delay_ms": 60_000, "deadline_ms": 90_000}
    with TestClient(create_app(Settings(models=models, provider="cpu", **waits))) as client:
        sent = client.post("/predict/batch", files=[("files", png(n)) for n in range(3)])
    assert [result["batch_size"] for result in sent.json()["results"]] == [3, 3, 3]
    (batch,) = named(spans, "infer tiny/1")
    (request,) = named(spans, "POST /predict/batch")
    assert request.context is not None
    assert [link.context.span_id for link in batch.links] == [request.context.span_id] * 3
    assert dict(batch.attributes or {}) == {"neurotriage.batch_size": 3}
    assert batch.parent is None


def test_callers_who_share_a_batch_are_both_linked(models: Path, spans: InMemorySpanExporter) -> None:
    waits: dict[str, Any] = {"max_batch_size": 2, "lanes": 1, "max_queue_delay_ms": 60_000, "deadline_ms": 90_000}
    with (
        TestClient(create_app(Settings(models=models, provider="cpu", **waits))) as client,
        ThreadPoolExecutor(2) as callers,
    ):
        sent = callers.map(lambda n: client.post("/predict", content=png(n)), (1, 2))
        assert [each.json()["batch_size"] for each in sent] == [2, 2]
    (batch,) = named(spans, "infer tiny/1")
    linked = {link.context.span_id for link in batch.links}
    assert linked == {each.context.span_id for each in named(spans, "POST /predict") if each.context}
    assert len(linked) == 2


def test_an_explanation_has_its_batch_too(traced: TestClient, spans: InMemorySpanExporter) -> None:
    assert traced.post("/explain?model=explains", content=png(1), headers={"traceparent": SENT}).status_code == 200
    (batch,) = named(spans, "explain explains/1")
    assert trace_ids(batch) == {TRACE}


def test_refusals_and_faults_are_spans_without_words_of_the_callers(
    traced: TestClient, spans: InMemorySpanExporter
) -> None:
    app: Any = traced.app

    async def fail() -> None:
        raise KeyError("Jane-Doe")

    app.get("/raise")(fail)
    assert traced.get("/raise", headers={"tracestate": "v=Jane-Doe", "baggage": "a=Jane-Doe"}).status_code == 500
    assert traced.get("/Jane-Doe").status_code == 404
    (fault,), (refusal,) = named(spans, "GET /raise"), named(spans, "GET unmatched")
    assert (fault.status.is_ok, refusal.status.is_ok) == (False, True)
    assert (fault.attributes or {})["error.type"] == "KeyError"
    assert "Jane" not in "".join(span.to_json() for span in spans.get_finished_spans())


def test_the_log_line_names_the_trace(traced: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    traced.post("/predict", content=png(1), headers={"traceparent": SENT})
    assert TRACE in capsys.readouterr().out


SWITCHED_OFF = """
import json, sys
from service.app import create_app
from service.settings import Settings
app = create_app(Settings(provider="cpu"))
imported = [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))]
print(json.dumps([imported, [each.cls.__name__ for each in app.user_middleware]]))
"""


def test_without_an_endpoint_nothing_that_traces_is_even_imported() -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", SWITCHED_OFF]
    printed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    assert json.loads(printed) == [[], ["SafeHeaders", "RequestLog"]]


def test_an_endpoint_without_opentelemetry_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "service.spans", None)
    with pytest.raises(ValueError, match=r"neurotriage\[otel\]"):
        create_app(Settings(otlp_endpoint="http://127.0.0.1:1/v1/traces"))
