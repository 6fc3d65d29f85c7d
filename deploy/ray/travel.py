"""A request and its answer as they travel between a cluster's machines, and how an ASGI app is asked in process."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Question:
    """One HTTP request, its body whole."""

    method: str
    path: str
    query: bytes
    headers: Headers
    client: tuple[str, int] | None
    body: bytes

    @classmethod
    def of(cls, request: Request, body: bytes) -> "Question":
        """The request as it came, with the body that was read from it."""
        client = (request.client.host, request.client.port) if request.client else None
        scope = request.scope
        return cls(request.method, scope["path"], scope["query_string"], scope["headers"], client, body)


@dataclass
class Answer:
    """One HTTP answer, its body whole."""

    status: int = 500
    headers: Headers = ()
    body: bytes = b""

    def response(self) -> Response:
        """The answer as Starlette sends it."""
        response = Response(self.body, self.status)
        response.raw_headers = list(self.headers)
        return response


@dataclass
class _Call:
    """Both ends of one ASGI call."""

    question: Question
    answer: Answer = field(default_factory=Answer)
    asked: bool = False

    async def receive(self) -> Message:
        """The body, then nothing: the caller stays until it has its answer, or cancels the whole call."""
        if self.asked:
            await asyncio.Event().wait()
        self.asked = True
        return {"type": "http.request", "body": self.question.body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Keep what the app says."""
        if message["type"] == "http.response.start":
            self.answer.status, self.answer.headers = message["status"], message["headers"]
        else:
            self.answer.body += message.get("body", b"")


async def ask(app: ASGIApp, question: Question) -> Answer:
    """What the app answers to the question."""
    call = _Call(question)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": question.method,
        "path": question.path,
        "raw_path": question.path.encode(),
        "root_path": "",
        "query_string": question.query,
        "headers": list(question.headers),
        "client": question.client,
        "server": None,
    }
    await app(scope, call.receive, call.send)
    return call.answer
