"""The one place where an error becomes an answer: `application/problem+json`, RFC 9457."""

from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from service.errors import BadInput, ServiceError
from service.logs import route_of
from service.routes.request import request_id_of
from service.schemas import PROBLEM_JSON, problem_of


async def answer_service_error(request: Request, error: ServiceError) -> Response:
    """Any error of the tree as problem+json."""
    request.app.state.metrics.problems.labels(route=route_of(request.scope), problem=error.slug).inc()
    if error.status >= 500 and error.__cause__ is not None:
        structlog.get_logger().error(
            error.slug, request_id=request_id_of(request), cause=type(error.__cause__).__name__
        )
    problem = problem_of(error, request_id_of(request))
    return Response(problem.model_dump_json(), error.status, error.headers, PROBLEM_JSON)


async def answer_http_exception(request: Request, error: HTTPException) -> Response:
    """Starlette's own refusals (no such path, wrong method) as problem+json."""
    problem = problem_of(ServiceError(), request_id_of(request))
    fields = {"type": "about:blank", "title": error.detail, "detail": error.detail, "status": error.status_code}
    body = problem.model_copy(update=fields).model_dump_json()
    return Response(body, error.status_code, error.headers, PROBLEM_JSON)


async def answer_validation_error(request: Request, error: RequestValidationError) -> Response:
    """A query or path parameter of the wrong kind; the value sent is not repeated."""
    faults = [f"{place_of(fault)}: {fault['msg']}" for fault in error.errors()]
    return await answer_service_error(request, BadInput("; ".join(faults)))


def place_of(fault: dict[str, Any]) -> str:
    """Where a fault lies; of a name that is none of ours no more than its kind, since it may be anything."""
    place = fault["loc"][:-1] if fault["type"] == "extra_forbidden" else fault["loc"]
    return ".".join(str(part) for part in place)


async def answer_fault(scope: Scope, receive: Receive, send: Send) -> None:
    """A fault of ours as problem+json that says nothing of its cause."""
    response = await answer_service_error(Request(scope, receive), ServiceError())
    await response(scope, receive, send)
