"""OpenTelemetry, where an endpoint is set: a span a request, a span a batch that links to its requests.

Only `open_tracing` imports this, and nothing else the SDK. Spans hold what the log holds: templates, names of
ours, statuses; of the caller's headers only `traceparent` is read, for `tracestate` and `baggage` may hold anything.
"""

import threading
from collections.abc import Sequence
from typing import Any, cast

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.logs import route_of
from service.tracing import Payload, Result, Run

TRACEPARENT = "traceparent"
CLOSE_SECONDS = 5.0


class _Carried:
    """A payload on its way through a queue, and the request that it belongs to."""

    __slots__ = ("origin", "payload")

    def __init__(self, payload: Any, origin: trace.SpanContext) -> None:
        self.payload = payload
        self.origin = origin


class OpenTelemetry:
    """Spans of `provider`; `close` sends what is left."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._propagator = TraceContextTextMapPropagator()
        self._tracer = provider.get_tracer("neurotriage")

    def carry(self, payload: Payload) -> Payload:
        """The payload with the current request's span."""
        return cast("Payload", _Carried(payload, trace.get_current_span().get_span_context()))

    def traced(self, run: Run[Payload, Result], name: str) -> Run[Payload, Result]:
        """`run` within a span that links to the requests of its batch."""

        def run_in_span(payloads: Sequence[Payload]) -> Sequence[Result]:
            carried = cast("Sequence[_Carried]", payloads)
            links = [trace.Link(each.origin) for each in carried if each.origin.is_valid]
            attributes = {"neurotriage.batch_size": len(carried)}
            with self._tracer.start_as_current_span(
                name, links=links, attributes=attributes, record_exception=False, set_status_on_exception=False
            ) as span:
                try:
                    return run([each.payload for each in carried])
                except Exception as error:
                    span.set_status(trace.StatusCode.ERROR, type(error).__name__)
                    raise

        return run_in_span

    def close(self) -> None:
        """Send what is left, for some seconds: the SDK alone would wait half a minute for a collector that is gone."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """`app`, each of whose requests has a span."""

        async def traced_app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await self._answer(app, scope, receive, send)
            else:
                await app(scope, receive, send)

        return traced_app

    async def _answer(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """One request within its span, whose `traceparent` goes back to the caller."""
        sent = Headers(scope=scope).get(TRACEPARENT)
        parent = self._propagator.extract({TRACEPARENT: sent} if sent else {})
        status = 0
        with self._tracer.start_as_current_span(
            scope["method"],
            context=parent,
            kind=trace.SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            returned: dict[str, str] = {}
            self._propagator.inject(returned)
            scope["state"]["noted"]["trace_id"] = f"{span.get_span_context().trace_id:032x}"

            async def send_with_trace(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                    MutableHeaders(scope=message)[TRACEPARENT] = returned[TRACEPARENT]
                await send(message)

            try:
                await app(scope, receive, send_with_trace)
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                status = 500
                raise
            finally:
                span.update_name(f"{scope['method']} {route_of(scope)}")
                span.set_attributes(attributes_of(scope, status))
                if status >= 500:
                    span.set_status(trace.StatusCode.ERROR)


def attributes_of(scope: Scope, status: int) -> dict[str, str | int]:
    """What a request's span says: the conventions' names, and what the log line says too."""
    noted = {f"neurotriage.{name}": value for name, value in scope["state"]["noted"].items() if name != "trace_id"}
    return {
        "http.request.method": scope["method"],
        "http.route": route_of(scope),
        "http.response.status_code": status,
        "neurotriage.request_id": scope["state"]["request_id"],
        **noted,
    }


def open_spans(endpoint: str, version: str) -> OpenTelemetry:
    """Spans that are sent to an endpoint, by a thread of the SDK's; what it cannot send is dropped."""
    resource = Resource.create({"service.name": "neurotriage", "service.version": version})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
    return OpenTelemetry(provider)
