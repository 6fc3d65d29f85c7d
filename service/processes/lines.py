"""Both ends of a link between a front and the engine: JSON lines in an event loop."""

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any, cast

from service.processes.post import Message, encode


class Lines(asyncio.Protocol):
    """Sends and receives messages; what is sent in one turn of the loop leaves in one write."""

    def __init__(self, heard: Callable[[Message], None], ended: Callable[[], None], read: bytes = b"") -> None:
        self._heard = heard
        self._ended = ended
        self._transport: asyncio.WriteTransport | None = None
        self._rest = read
        self._waiting: list[bytes] = []
        self.open = False

    async def begin(self, end: socket.socket) -> None:
        """Send and receive over a connected Unix socket, of which `read` has been read already."""
        end.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=end)

    def send(self, message: Message) -> None:
        """Send a message by the end of this turn of the loop; where nobody listens any more it is dropped."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(encode(message))

    def close(self) -> None:
        """Hang up once all is sent."""
        self._flush()
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self.open = True
        self._flush()
        self.data_received(b"")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - however it was lost, it is lost
        """Called by the loop."""
        self.open = False
        self._ended()

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._heard(cast("dict[str, Any]", json.loads(line)))

    def _flush(self) -> None:
        if self._transport is None:
            return
        waiting, self._waiting = b"".join(self._waiting), []
        if waiting and self.open:
            self._transport.write(waiting)
