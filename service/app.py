"""Put the service together and take it apart; nothing happens at import."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from service.audit import open_audit
from service.bound_session import BoundSession
from service.catalogue import Catalogue
from service.contract.card import Card
from service.cpus import usable_cpus
from service.cuda import cuda_options
from service.errors import ServiceError
from service.explain_session import ExplainSession
from service.headers import SafeHeaders
from service.intake import Intake
from service.logs import RequestLog
from service.lone import LoneChoice
from service.metrics import Metrics
from service.rates import Rates
from service.repository import AnySession, OpenExplainSession, OpenSession, Repository
from service.routes import docs, health, loading, models, problems
from service.routes.access import callers_of
from service.routes.explain import explanation_router
from service.routes.page import page_router
from service.routes.predict import batch_router, prediction_router
from service.schemas import Problem
from service.session import CPU, ProviderUnavailable, Session, choose_provider, make_plan
from service.settings import Settings
from service.tally import Tally
from service.tracing import OFF, Tracing

if TYPE_CHECKING:
    from service.spans import OpenTelemetry

WORK = ("/predict", "/predict/batch", "/explain")
"""Routes that answer pictures."""
DESCRIPTION = "Classifies brain-MRI slices. Research and triage support, never a diagnosis."


@dataclass(frozen=True)
class Parts:
    """What an app is put together from; one of several processes brings parts that know of the others."""

    metrics: Metrics
    catalogue: Catalogue
    intake: Intake
    rates: Rates | None
    render_metrics: Callable[[], Awaitable[bytes]]


def own_parts(settings: Settings, tracing: Tracing = OFF) -> Parts:
    """The parts of a process that does all by itself."""
    metrics = Metrics()
    repository = Repository(settings.models, session_opener(settings), explain_session_opener(settings))
    intake = intake_of(settings)

    async def render() -> bytes:
        return metrics.render()

    return Parts(
        metrics=metrics,
        catalogue=Catalogue(repository, settings, metrics, intake.all_left, tracing),
        intake=intake,
        rates=Rates(settings.rate_per_minute, settings.rate_burst) if settings.rate_per_minute else None,
        render_metrics=render,
    )


def create_app(settings: Settings, parts: Parts | None = None) -> FastAPI:
    """The ASGI app; its lifespan opens the models and closes them again.

    Raises `ProviderUnavailable` at start where the settings insist on a provider that cannot be had, and `ValueError`
    where the service would be open to a network without anybody having said so, or where keys, audit or tracing cannot
    be had.
    """
    callers = callers_of(settings)
    tracing = open_tracing(settings.otlp_endpoint)
    logs_models = parts is None
    parts = parts or own_parts(settings, tracing or OFF)
    metrics, catalogue, intake = parts.metrics, parts.catalogue, parts.intake
    audit = open_audit(settings.audit, settings.audit_max_bytes, settings.audit_backups, metrics.audit_lost.inc)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await catalogue.start()
        if logs_models:
            log_models(catalogue)
        yield
        await catalogue.stop()
        for each in (audit, tracing):
            if each:
                await asyncio.to_thread(each.close)

    app = FastAPI(
        title="NeuroTriage",
        version=version("neurotriage"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        openapi_url="/openapi.json" if settings.docs else None,
        redirect_slashes=False,
        redoc_url=None,
        responses={"default": {"model": Problem, "description": "Problem details (RFC 9457)."}},
    )
    app.state.catalogue, app.state.metrics, app.state.callers, app.state.audit = catalogue, metrics, callers, audit
    app.state.rates, app.state.intake, app.state.render_metrics = parts.rates, intake, parts.render_metrics
    metrics.held_bytes.set_function(lambda: intake.held_bytes)
    include_routes(app, settings)
    metrics.begin_routes(WORK)
    # Starlette hands each handler the class it was registered for, which its types do not say.
    app.add_exception_handler(ServiceError, problems.answer_service_error)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, problems.answer_http_exception)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, problems.answer_validation_error)  # type: ignore[arg-type]
    if tracing:
        app.add_middleware(tracing.middleware)
    app.add_middleware(RequestLog, finished=metrics.count_request, answer_fault=problems.answer_fault)
    app.add_middleware(SafeHeaders)
    return app


def open_tracing(endpoint: str | None) -> "OpenTelemetry | None":
    """The tracing that the settings ask for; raises `ValueError` where OpenTelemetry is not installed."""
    if endpoint is None:
        return None
    try:
        from service.spans import open_spans  # noqa: PLC0415 - who does not trace need not have the SDK
    except ImportError:
        raise ValueError("NEUROTRIAGE_OTLP_ENDPOINT needs pip install 'neurotriage[otel]'") from None
    return open_spans(endpoint, version("neurotriage"))


def intake_of(settings: Settings, held: Tally | None = None, visits: Tally | None = None) -> Intake:
    """How much is let in under these settings, and how fast it must come; counted with others where they share."""
    return Intake(
        settings.max_bytes_in_flight,
        settings.body_idle_seconds,
        settings.body_seconds,
        least_rate=settings.body_least_bytes_per_second,
        max_bytes_per_client=settings.bytes_per_client,
        held=held,
        visits=visits,
    )


def include_routes(app: FastAPI, settings: Settings) -> None:
    """The routes that these settings offer."""
    app.include_router(prediction_router(settings.max_body_bytes))
    app.include_router(batch_router(settings.max_batch_body_bytes, settings.max_batch_files))
    app.include_router(explanation_router(settings.max_body_bytes))
    app.include_router(models.router)
    app.include_router(loading.router)
    app.include_router(health.router)
    app.include_router(page_router())
    if settings.metrics:
        app.include_router(health.metrics_router)
    if settings.docs:
        app.include_router(docs.router)
        app.mount(docs.ASSETS, docs.assets())


def session_opener(settings: Settings) -> OpenSession:
    """How the repository opens `model.onnx` under these settings."""
    provider = choose_provider(settings.provider)
    cpus = usable_cpus()
    wishes = (settings.lanes, settings.threads_per_lane, settings.max_batch_size)
    choices: defaultdict[tuple[object, ...], LoneChoice] = defaultdict(LoneChoice)

    def open_session(path: Path, card: Card) -> Session:
        def build(provider: str) -> Session:
            plan = make_plan(provider, cpus, *wishes)
            if provider == CPU:
                weight = path.stat().st_size // 100_000  # of one architecture, one may have lost channels
                alike = (card.architecture, card.precision, card.input.height, card.input.width, weight)
                return Session(path, plan, card.outputs.logits, lone_choice=choices[alike])
            options = cuda_options(settings.cudnn_search, graphs=settings.cuda_graphs)
            return BoundSession(path, plan, card.outputs.logits, options)

        return with_fallback(settings, provider, build)

    return open_session


def explain_session_opener(settings: Settings) -> OpenExplainSession:
    """How the repository opens a layer's gradient graph: on the same provider, with one lane of one thread."""
    provider = choose_provider(settings.provider)

    def open_explain_session(path: Path, card: Card, layer: str) -> ExplainSession:
        def build(provider: str) -> ExplainSession:
            plan = make_plan(provider, 1, lanes=1, threads=1, max_batch_size=settings.explain_batch_size)
            return ExplainSession(path, plan, layer, card.outputs.logits)

        return with_fallback(settings, provider, build)

    return open_explain_session


def with_fallback(settings: Settings, provider: str, build: Callable[[str], AnySession]) -> AnySession:
    """With `auto`, a CUDA session that ONNX Runtime silently built for the CPU is built again by the CPU's own plan."""
    try:
        return build(provider)
    except ProviderUnavailable:
        if settings.provider == "cuda":
            raise
        return build(CPU)


def log_models(catalogue: Catalogue) -> None:
    """One line a bundle: where it runs, or why it does not; one more where the service cannot answer."""
    for bundle in catalogue.repository.bundles:
        provider = bundle.session.provider if bundle.session else None
        structlog.get_logger().info(
            "model",
            name=bundle.name,
            version=bundle.version,
            state=bundle.state,
            provider=provider,
            reason=bundle.reason,
        )
    if fault := catalogue.fault():
        structlog.get_logger().error("not-ready", reason=fault)
