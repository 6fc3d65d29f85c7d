"""uvicorn's HTTP connection, but that headers must come in time and end somewhere, and no other protocol is spoken."""

from asyncio import Transport
from asyncio.events import TimerHandle
from typing import Any

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEADER_BYTES = 65_536
"""uvicorn's own bound for h11; httptools has none."""
REFUSAL = "HTTP/1.1 {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
FRAMING = (b"content-length", b"transfer-encoding")
"""The headers that say how long a body is."""


class PlainParser(HttpRequestParser):
    """httptools' parser, to which a request that offers another protocol (`Upgrade: h2c`) is one like any other.

    RFC 9110 §7.8 lets a server ignore the offer. httptools reads no body after it: uvicorn alone would answer the
    request as one without, and take its body for the next request.
    """

    def __init__(self, protocol: HttpToolsProtocol, callbacks: Any = None) -> None:
        super().__init__(callbacks or protocol)
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self._protocol = protocol

    def feed_data(self, data: Any) -> None:
        """Read on; after a head with an offer by a fresh parser, that is given the head again without it."""
        try:
            super().feed_data(data)
        except HttpParserUpgrade as upgrade:
            protocol = self._protocol
            framing = [name + b": " + value + b"\r\n" for name, value in protocol.headers if name in FRAMING]
            protocol.cycle.more_body = True
            protocol.parser = PlainParser(protocol, _AfterHead(protocol))
            protocol.parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(framing) + b"\r\n")
            protocol.parser.feed_data(data[upgrade.args[0] :])


class _AfterHead:
    """A protocol's callbacks, but that it hears nothing of the first head."""

    def __init__(self, protocol: HttpToolsProtocol) -> None:
        self._protocol = protocol
        self._first = True
        self.on_body, self.on_message_complete = protocol.on_body, protocol.on_message_complete

    def on_message_begin(self) -> None:
        if not self._first:
            self._protocol.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._first:
            self._protocol.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._first:
            self._protocol.on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self._first:
            self._protocol.on_headers_complete()
        self._first = False


class PunctualProtocol(HttpToolsProtocol):
    """Closes a connection whose request has not brought all of its headers in `header_seconds`, or brings too many.

    Time counts from the connection for the first request, from its first byte for any other.
    """

    header_seconds = 10.0
    _timer: TimerHandle | None = None
    _header_bytes = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.parser = PlainParser(self)

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """A client has come."""
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """A client has gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if self._timer is None:
            self._await_headers()

    def on_headers_complete(self) -> None:
        """The last header of a request."""
        self._stop_waiting()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Bytes of headers or bodies."""
        waited = self._timer is not None
        super().data_received(data)
        if waited and self._timer is not None:  # all of them were headers
            self._header_bytes += len(data)
            if self._header_bytes > MOST_HEADER_BYTES:
                self._refuse("431 Request Header Fields Too Large")

    def _await_headers(self) -> None:
        self._header_bytes = 0
        self._timer = self.loop.call_later(self.header_seconds, self._late)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        """Time is up; but the headers of a request behind another may have to wait for that one's answer."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._await_headers()
        else:
            self._refuse("408 Request Timeout")

    def _refuse(self, status: str) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            self.transport.write(REFUSAL.format(status).encode())
            self.transport.close()


def punctual(header_seconds: float) -> type[PunctualProtocol]:
    """The connection with this patience; uvicorn makes one for each client, from a class."""
    return type("Punctual", (PunctualProtocol,), {"header_seconds": header_seconds})
