"""From files' bytes to rows: the service's own decoding, preprocessing and graph, without its queue."""

import hashlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from service.contract.card import MODEL_FILE, Card
from service.contract.preprocess import Slice
from service.contract.probabilities import Probabilities, probabilities, tumor_probability
from service.errors import InferenceFailed, NoRoom, ServiceError
from service.images import read_slice
from service.schemas import problem_of
from service.session import Session
from service.settings import Settings

Row = dict[str, Any]

UNREADABLE_FILE = "urn:neurotriage:problem:unreadable-file"
"""A problem that no request can have: the archive did not give the bytes."""
PASSING = frozenset({UNREADABLE_FILE, *(problem_of(kind(), "").type for kind in (InferenceFailed, NoRoom))})
"""Problems of a moment or a machine, not of a file: another time there may be an answer."""


def schema_of(card: Card) -> pa.Schema:
    """The columns of a model's rows; an answer has no problem, a problem no answer."""
    return pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            ("sha256", pa.string()),
            ("label", pa.string()),
            ("probabilities", pa.struct([(name, pa.float64()) for name in card.class_names])),
            ("tumor_probability", pa.float64()),
            pa.field("model", pa.string(), nullable=False),
            pa.field("version", pa.int32(), nullable=False),
            pa.field("model_sha256", pa.string(), nullable=False),
            ("problem", pa.string()),
            ("detail", pa.string()),
        ]
    )


class Scorer:
    """Answers files with one bundle's session; several threads may share it."""

    def __init__(self, card: Card, session: Session, settings: Settings) -> None:
        self.card = card
        self._session = session
        self._settings = settings
        self.model = {"model": card.name, "version": card.version, "model_sha256": card.files[MODEL_FILE]}

    @property
    def batch_size(self) -> int:
        """Most files of one call."""
        return self._session.plan.max_batch_size

    def rows(self, paths: Sequence[str], contents: Sequence[bytes | ServiceError | OSError]) -> list[Row]:
        """One row a file, in order; an error in a content's place becomes its row's problem."""
        slices = [content if isinstance(content, Exception) else self._prepare(content) for content in contents]
        answers = iter(self._infer([each for each in slices if not isinstance(each, Exception)]))
        outcomes = [each if isinstance(each, Exception) else next(answers) for each in slices]
        return [
            {"path": path, "sha256": sha256(content), **self.model, **self._outcome(outcome)}
            for path, content, outcome in zip(paths, contents, outcomes, strict=True)
        ]

    def _prepare(self, content: bytes) -> Slice | ServiceError:
        try:
            return read_slice(content, self.card.input, self._settings.max_pixels, self._settings.min_side)[1]
        except ServiceError as error:
            return error

    def _infer(self, slices: Sequence[Slice]) -> list[Probabilities | ServiceError]:
        """An answer a slice; where a batch fails each is tried alone, so that none fails for its neighbour."""
        if not slices:
            return []
        try:
            return list(probabilities(self._session.run(slices), self.card.temperature))
        except Exception:  # noqa: BLE001 - whatever the runtime raises is the row's problem
            if len(slices) == 1:
                return [InferenceFailed()]
            return [answer for each in slices for answer in self._infer([each])]

    def _outcome(self, outcome: Probabilities | Exception) -> Row:
        if isinstance(outcome, ServiceError):
            return {"problem": problem_of(outcome, "").type, "detail": str(outcome)}
        if isinstance(outcome, OSError):
            return {"problem": UNREADABLE_FILE, "detail": outcome.strerror or type(outcome).__name__}
        if isinstance(outcome, Exception):
            raise outcome
        names = self.card.class_names
        return {
            "label": names[int(outcome.argmax())],
            "probabilities": dict(zip(names, outcome.tolist(), strict=True)),
            "tumor_probability": float(tumor_probability(outcome, names)),
        }


def sha256(content: bytes | Exception) -> str | None:
    """Of the file as it lies in the archive; None where it was not read."""
    return None if isinstance(content, Exception) else hashlib.sha256(content).hexdigest()
