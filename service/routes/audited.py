"""What the audit keeps of an answer: no pixel, no file name, and of the picture only its hash."""

import asyncio
import hashlib
from collections.abc import Sequence

from fastapi import Request

from service.audit import Audit
from service.contract.card import MODEL_FILE, Card
from service.errors import ServiceError
from service.predictor import Prediction
from service.routes.request import request_id_of


async def audit(
    request: Request,
    card: Card,
    contents: Sequence[bytes],
    outcomes: Sequence[Prediction | ServiceError],
    **more: object,
) -> None:
    """A line for each prediction among the outcomes, which are in the order of their pictures."""
    kept: Audit | None = request.app.state.audit
    if kept is None:
        return
    answered = [(n, content, each) for n, (content, each) in enumerate(zip(contents, outcomes, strict=True))
                if isinstance(each, Prediction)]  # fmt: skip
    hashes = await asyncio.to_thread(lambda: [hashlib.sha256(content).hexdigest() for _, content, _ in answered])
    noted = request.state.noted
    for (item, _, prediction), image_sha256 in zip(answered, hashes, strict=True):
        kept.note(
            request_id=request_id_of(request),
            **{kind: noted[kind] for kind in ("key", "subject") if kind in noted},
            route=request.scope["route"].path,
            item=item,
            model=card.name,
            version=card.version,
            model_sha256=card.files[MODEL_FILE],
            image_sha256=image_sha256,
            label=prediction.label,
            probability=prediction.probabilities[prediction.label],
            **more,
        )
