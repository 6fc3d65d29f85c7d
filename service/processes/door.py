"""A listening socket that several fronts share."""

import asyncio
import socket
from contextlib import suppress
from functools import partial
from typing import Any

import uvicorn
from structlog import get_logger

from service.server import DrainingServer, connection_of, handshake_seconds

PAUSE_SECONDS = 0.5
"""Without free file descriptors there is no use in trying again at once."""


class Door:
    """Takes one connection a turn of the loop, so that whichever front is idle takes the next one.

    Event loops take all that wait, which leaves one front with most connections and its neighbours without.
    """

    def __init__(self, listening: socket.socket, config: uvicorn.Config, server: uvicorn.Server) -> None:
        listening.setblocking(False)
        self._listening = listening
        self._config = config
        self._server = server
        self._connecting: set[asyncio.Task[Any]] = set()
        self._open = False

    def open(self) -> None:
        """Take connections from now on."""
        self._open = True
        asyncio.get_running_loop().add_reader(self._listening.fileno(), self._accept)

    def close(self) -> None:
        """Take no more; the other fronts may."""
        if self._open:
            self._open = False
            asyncio.get_running_loop().remove_reader(self._listening.fileno())
            self._listening.close()

    async def wait_closed(self) -> None:
        """Wait for the connections that were taken but not begun."""
        await asyncio.gather(*self._connecting, return_exceptions=True)

    def _accept(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return  # another front was quicker, or the client has left
        except OSError as error:
            get_logger().error("cannot accept", reason=error.strerror)
            self._pause()
            return
        connection.setblocking(False)
        connecting = asyncio.create_task(self._begin(connection))
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)

    async def _begin(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):  # a client that speaks no TLS, or has left before it did
            await loop.connect_accepted_socket(
                partial(connection_of, self._server),
                connection,
                ssl=self._config.ssl,
                ssl_handshake_timeout=handshake_seconds(self._config),
            )

    def _pause(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listening.fileno())
        loop.call_later(PAUSE_SECONDS, lambda: self.open() if self._open else None)


class FrontServer(DrainingServer):
    """A draining server behind a shared door."""

    door: Door

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app, then take connections from the first of `sockets`."""
        await super().startup(sockets=[])
        if sockets and not self.should_exit:
            self.door = Door(sockets[0], self.config, self)
            self.door.open()
            self.servers.append(self.door)  # type: ignore[arg-type]  # uvicorn calls close and wait_closed, no more

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - the door closes it
        """Drain, then close the door."""
        await super().shutdown(None)
