"""`POST /predict` and `POST /predict/batch`."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from service import predictor, schemas
from service.contract.card import MODEL_FILE, Card
from service.errors import ServiceError
from service.routes.access import charge_for, work
from service.routes.audited import audit
from service.routes.direct import DirectRoute
from service.routes.request import (
    TimeoutMs,
    catalogue_of,
    read_picture,
    read_pictures,
    request_id_of,
    urgency_of,
    while_connected,
)

ChosenModel = Annotated[schemas.UrgentModelQuery, Query()]

BINARY = {"type": "string", "format": "binary"}
PICTURE_TYPES = ("image/png", "image/jpeg", "image/bmp", "image/tiff", "image/webp", "application/octet-stream")
FORM_ONE = {"type": "object", "required": ["file"], "properties": {"file": BINARY}}
FORM_MANY = {"type": "object", "required": ["files"], "properties": {"files": {"type": "array", "items": BINARY}}}
ONE_PICTURE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": FORM_ONE},
            **{kind: {"schema": BINARY} for kind in PICTURE_TYPES},
        },
    }
}
MANY_PICTURES: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM_MANY}}}
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's account of the problems a route may answer with."""
    content = {schemas.PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": "Problem details (RFC 9457).", "content": content} for status in statuses}


def prediction_router(max_bytes: int) -> APIRouter:
    """The route for one picture of at most `max_bytes`."""
    router = APIRouter(tags=["predict"], route_class=DirectRoute)

    @router.post(
        "/predict",
        responses={
            200: {"model": schemas.Prediction},
            **problems(400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503, 504),
        },
        dependencies=work("predict"),
        openapi_extra=ONE_PICTURE,
    )
    async def predict(request: Request, query: ChosenModel, timeout_ms: TimeoutMs = None) -> Response:
        """Classify one slice: multipart field `file`, or the picture itself as the body."""
        chosen = catalogue_of(request).predictor(query.model, query.version)
        note(request, chosen.card)
        chosen.refuse_if_full(query.priority)
        content = await read_picture(request, max_bytes)
        urgency = urgency_of(query.priority, timeout_ms)
        prediction = await while_connected(request, chosen.predict(content, urgency))
        request.state.noted["batch_size"] = prediction.batch_size
        await audit(request, chosen.card, [content], [prediction])
        return json_response(prediction_view(prediction, chosen.card, request_id_of(request)))

    return router


def batch_router(max_bytes: int, most: int) -> APIRouter:
    """The route for many pictures, at most `most` and `max_bytes` together."""
    router = APIRouter(tags=["predict"])

    @router.post(
        "/predict/batch",
        responses={200: {"model": schemas.BatchAnswer}, **problems(400, 401, 403, 404, 408, 413, 422, 429, 500, 503)},
        dependencies=work("predict"),
        openapi_extra=MANY_PICTURES,
    )
    async def predict_batch(request: Request, query: ChosenModel, timeout_ms: TimeoutMs = None) -> Response:
        """Classify many slices: multipart field `files`; one entry a file, in the order sent."""
        chosen = catalogue_of(request).predictor(query.model, query.version)
        note(request, chosen.card)
        chosen.refuse_if_full(query.priority)
        contents = await read_pictures(request, "files", max_bytes, most)
        charge_for(request, len(contents))
        urgency = urgency_of(query.priority, timeout_ms)
        outcomes = await while_connected(request, chosen.predict_each(contents, urgency))
        request.state.noted["pictures"] = len(outcomes)
        await audit(request, chosen.card, contents, outcomes)
        views = [outcome_view(outcome, chosen.card, request_id_of(request)) for outcome in outcomes]
        return json_response(schemas.BatchAnswer(request_id=request_id_of(request), results=views))

    return router


def note(request: Request, card: Card) -> None:
    """Put the model that answers into the request's log line."""
    request.state.noted.update(model=card.name, version=card.version)


def outcome_view(
    outcome: predictor.Prediction | ServiceError, card: Card, request_id: str
) -> schemas.Prediction | schemas.Problem:
    """A file's entry in a batch answer."""
    if isinstance(outcome, ServiceError):
        return schemas.problem_of(outcome, request_id)
    return prediction_view(outcome, card, request_id)


def prediction_view(prediction: predictor.Prediction, card: Card, request_id: str) -> schemas.Prediction:
    """The prediction as it travels."""
    timing = prediction.timing
    return schemas.Prediction(
        request_id=request_id,
        model=schemas.ModelRef(name=card.name, version=card.version, sha256=card.files[MODEL_FILE]),
        label=prediction.label,
        probabilities=prediction.probabilities,
        tumor_probability=prediction.tumor_probability,
        batch_size=prediction.batch_size,
        timing_ms=schemas.TimingMs(
            decode=milliseconds(timing.decode),
            queue=milliseconds(timing.queue),
            inference=milliseconds(timing.inference),
            total=milliseconds(timing.total),
        ),
    )


def milliseconds(seconds: float) -> float:
    """Seconds as milliseconds to the microsecond."""
    return round(seconds * 1000, 3)


def json_response(answer: BaseModel) -> Response:
    """The answer as JSON, serialised once."""
    return Response(answer.model_dump_json(), media_type="application/json")
