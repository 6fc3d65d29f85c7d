"""`POST /explain`."""

from base64 import b64encode
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response

from service import schemas
from service.contract.card import Card, Explain
from service.errors import SeveralOverlays
from service.explainer import Explained
from service.explanation import ALL, Explanation, Wish
from service.routes.access import work
from service.routes.audited import audit
from service.routes.predict import ONE_PICTURE, note, prediction_view, problems
from service.routes.request import TimeoutMs, catalogue_of, read_picture, request_id_of, urgency_of, while_connected

PNG = "image/png"
NO_ROWS = b'"heatmap":[]'
"""An empty heatmap in JSON, where its rows belong; no string can hold it, for its quotes would be escaped."""
ANSWER: dict[str, Any] = {
    "model": schemas.ExplainedPrediction | schemas.FullyExplainedPrediction,
    "description": "The prediction with `explanation`, or `explanations` for all classes; as PNG the overlay alone.",
    "content": {PNG: {"schema": {"type": "string", "format": "binary"}}},
    "headers": {
        f"X-NeuroTriage-{name}": {"description": f"With a PNG: {what}", "schema": {"type": "string"}}
        for name, what in {
            "Model": "name and version.",
            "Label": "the predicted class, percent-encoded.",
            "Probability": "its probability.",
            "Tumor-Probability": "the tumour classes' summed probability.",
            "Target": "the class explained, percent-encoded.",
            "Method": "how the map was made.",
            "Layer": "the layer it was made from, percent-encoded.",
            "Evidence": "`true`, or `false` where no place speaks for the class.",
            "Peak": "x,y of the highest pixel; absent without evidence.",
        }.items()
    },
}


def explanation_router(max_bytes: int) -> APIRouter:
    """The route for one picture of at most `max_bytes`."""
    router = APIRouter(tags=["explain"])

    @router.post(
        "/explain",
        responses={200: ANSWER, **problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503, 504)},
        dependencies=work("explain"),
        openapi_extra=ONE_PICTURE,
    )
    async def explain(
        request: Request, query: Annotated[schemas.ExplainQuery, Query()], timeout_ms: TimeoutMs = None
    ) -> Response:
        """Classify one slice as `/predict` does, and show where the evidence for a class lies.

        Send the picture as for `/predict`. With `Accept: image/png` the answer is the overlay alone.
        """
        chosen = catalogue_of(request).explainer(query.model, query.version)
        note(request, chosen.card)
        chosen.refuse_if_full(query.priority)
        content = await read_picture(request, max_bytes)
        urgency = urgency_of(query.priority, timeout_ms)
        wish, as_png = wish_of(query, chosen.offer), prefers_png(",".join(request.headers.getlist("accept")))
        if as_png and wish.target == ALL:
            raise SeveralOverlays("name one target, or accept application/json")
        explained = await while_connected(request, chosen.explain(content, wish, urgency))
        targets = [each.target for each in explained.explanations]
        await audit(request, chosen.card, [content], [explained.prediction], targets=targets, method=wish.method)
        if as_png:
            return png_response(explained, chosen.card)
        return json_response(explained, wish, chosen.card, request_id_of(request))

    return router


def wish_of(query: schemas.ExplainQuery, offer: Explain) -> Wish:
    """The query with the card's defaults filled in."""
    return Wish(
        target=query.targets or query.target,
        method=query.method or offer.methods[0],
        layer=query.layer or offer.default_layer,
        colormap=query.colormap,
        alpha=query.alpha,
    )


def prefers_png(accept: str) -> bool:
    """Whether an Accept header ranks PNG above JSON."""
    return quality(accept, PNG) > quality(accept, "application/json")


def quality(accept: str, wanted: str) -> float:
    """The weight that an Accept header gives a media type, by its most specific range (RFC 9110 §12.5.1)."""
    weights = {}
    for part in accept.split(","):
        kind, *parameters = (each.strip().lower() for each in part.split(";"))
        given = [each.removeprefix("q=") for each in parameters if each.startswith("q=")]
        weights[kind] = float(given[0]) if given and given[0].replace(".", "", 1).isdecimal() else 1.0
    ranges = (wanted, f"{wanted.partition('/')[0]}/*", "*/*")
    return next((weights[each] for each in ranges if each in weights), 0.0)


def json_response(explained: Explained, wish: Wish, card: Card, request_id: str) -> Response:
    """The prediction with one explanation, or with all of them; heatmaps are put in as the JSON they already are."""
    fields = dict(prediction_view(explained.prediction, card, request_id))
    views = [explanation_view(each) for each in explained.explanations]
    answer = (
        schemas.FullyExplainedPrediction(**fields, explanations=views)
        if wish.target == ALL
        else schemas.ExplainedPrediction(**fields, explanation=views[0])
    )
    first, *others = answer.model_dump_json().encode().split(NO_ROWS)
    rows = [b'"heatmap":' + each.heatmap for each in explained.explanations]
    parts = [part for pair in zip(rows, others, strict=True) for part in pair]
    return Response(b"".join([first, *parts]), media_type="application/json")


def explanation_view(explanation: Explanation) -> schemas.ExplanationView:
    """The explanation as it travels, but for its heatmap."""
    peak, box = explanation.peak, explanation.box
    return schemas.ExplanationView(
        target=explanation.target,
        method=explanation.method,
        layer=explanation.layer,
        evidence=explanation.evidence,
        heatmap=[],
        peak=schemas.PointView(**peak._asdict()) if peak else None,
        box=schemas.BoxView(**box._asdict()) if box else None,
        overlay_png=b64encode(explanation.overlay).decode(),
    )


def png_response(explained: Explained, card: Card) -> Response:
    """The overlay alone, the answer in headers."""
    prediction, explanation = explained.prediction, explained.explanations[0]
    headers = {
        "Model": f"{card.name}/{card.version}",
        "Label": quote(prediction.label),
        "Probability": f"{prediction.probabilities[prediction.label]:.6f}",
        "Tumor-Probability": f"{prediction.tumor_probability:.6f}",
        "Target": quote(explanation.target),
        "Method": explanation.method,
        "Layer": quote(explanation.layer),
        "Evidence": str(explanation.evidence).lower(),
        **({"Peak": f"{explanation.peak.x},{explanation.peak.y}"} if explanation.peak else {}),
    }
    return Response(explanation.overlay, media_type=PNG, headers={f"X-NeuroTriage-{k}": v for k, v in headers.items()})
