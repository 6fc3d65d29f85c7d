"""`GET /livez`, `/readyz`, `/metrics`: nothing here waits for anything, or asks for a key."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.routes.readable import readable
from service.routes.request import catalogue_of
from service.schemas import Liveness, ModelState, Readiness

STOPPED = {"stopped": "its worker has stopped"}

router = APIRouter(tags=["health"])
metrics_router = APIRouter(tags=["health"])


@readable(router, "/livez")
async def livez() -> Liveness:
    """The process is up."""
    return Liveness()


@readable(router, "/readyz", responses={503: {"model": Readiness, "description": "It cannot answer now."}})
async def readyz(request: Request, response: Response) -> Readiness:
    """Whether the service can predict now, and each model's part in it.

    A stopped explain lane is named in its model's `explain` and leaves the service ready: predictions do not need it.
    So does an audit that loses lines: `audit` is then `failing`.
    """
    catalogue = catalogue_of(request)
    fault = request.app.state.intake.fault or catalogue.fault()
    response.status_code = 503 if fault else 200
    states = [
        ModelState(
            name=bundle.name,
            version=bundle.version,
            state=catalogue.state(bundle),
            explain=catalogue.explain_state(bundle),
            provider=bundle.session.provider if bundle.session else None,
            reason=bundle.reason or STOPPED.get(catalogue.state(bundle)),
        )
        for bundle in catalogue.repository.bundles
    ]
    audit = request.app.state.audit
    return Readiness(ready=fault is None, reason=fault, models=states, audit=audit.state if audit else None)


@readable(metrics_router, "/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Prometheus' text format; of several processes, whichever is asked tells the whole."""
    return Response(await request.app.state.render_metrics(), media_type=CONTENT_TYPE_LATEST)
