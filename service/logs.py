"""One JSON line a request: ids, model, status, milliseconds; never a file name, a pixel or anything of a patient."""

import logging
import os
import re
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any, TextIO, cast

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.tracebacks import ExceptionDictTransformer

REQUEST_ID = "X-Request-ID"
ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a caller's request id may look like; anything else is replaced, so that no log line can be forged."""

Finished = Callable[[str, int, float], None]
"""Called with route, status and seconds when a request is over."""


class Lines:
    """A stream of lines in which one that cannot be written (a full disk, a closed pipe) is lost, and counted.

    What was answered stays answered: a log that is full must not fail requests, nor the end of the process.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost = 0

    def write(self, text: str) -> int:
        """Write, if that is possible."""
        try:
            self._stream.write(text)
        except OSError:
            self.lost += 1
        return len(text)

    def flush(self) -> None:
        """Flush, if that is possible."""
        try:
            self._stream.flush()
        except OSError:
            self.lost += 1

    def close(self) -> None:
        """Give up what is still unwritten: Python would try again at the end, and exit with 120."""
        try:
            self._stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


def configure(level: str) -> Lines:
    """Make structlog, and the standard library's loggers with it, write JSON lines to standard output."""
    output = Lines(sys.stdout)
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),  # locals hold pixels
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", output)),
        cache_logger_on_first_use=False,
    )
    lines = logging.StreamHandler(output)
    lines.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[lines], level=level.upper(), force=True)
    logging.captureWarnings(capture=True)
    for name in ("PIL", "py.warnings", "python_multipart"):  # what they say of a client's bytes is the answer's
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return output


class RequestLog:
    """ASGI middleware: a request id in and out, a log line and a measurement at the end.

    An exception that nothing below has turned into an answer is logged and answered by `answer_fault`.
    """

    def __init__(self, app: ASGIApp, finished: Finished, answer_fault: ASGIApp) -> None:
        self._app = app
        self._finished = finished
        self._answer_fault = answer_fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = accepted_id(Headers(scope=scope).get(REQUEST_ID))
        noted: dict[str, Any] = {}
        scope.setdefault("state", {}).update(request_id=request_id, noted=noted)
        started, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        logger = structlog.get_logger().bind(request_id=request_id)
        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            logger.exception("unhandled")
            if status:
                raise
            await self._answer_fault(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            route = route_of(scope)
            self._finished(route, status, seconds)
            logger.info(
                "request", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 2), **noted
            )


def accepted_id(sent: str | None) -> str:
    """The caller's own id where it is harmless, else a new one."""
    return sent if sent and ACCEPTED_ID.fullmatch(sent) else uuid.uuid4().hex


def route_of(scope: Scope) -> str:
    """The route's template, never the path itself: a path may hold anything."""
    return getattr(scope.get("route"), "path", "unmatched")
