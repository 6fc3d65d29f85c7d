"""uvicorn's HTTP connection, but that headers must come in time and end somewhere."""

from asyncio import Transport
from asyncio.events import TimerHandle

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEADER_BYTES = 65_536
"""uvicorn's own bound for h11; httptools has none."""
REFUSAL = "HTTP/1.1 {}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class PunctualProtocol(HttpToolsProtocol):
    """Closes a connection whose request has not brought all of its headers in `header_seconds`, or brings too many.

    Time counts from the connection for the first request, from its first byte for any other.
    """

    header_seconds = 10.0
    _timer: TimerHandle | None = None
    _header_bytes = 0

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
