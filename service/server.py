"""uvicorn, but that it says it is going before it closes its door."""

import asyncio
import gc
import math
import socket
import sys
import time
from functools import partial
from types import FrameType
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE

from service.connection import punctual
from service.intake import Intake
from service.settings import Settings

CUT_OFF = 1
"""Exit status where requests were still in flight when the time to drain was over."""


def configured(app: FastAPI, settings: Settings, **address: Any) -> uvicorn.Config:
    """Uvicorn as these settings want it; `address` is a host and a port, or nothing where sockets are handed over."""
    return uvicorn.Config(
        app,
        http=punctual(settings.header_seconds),
        ws="none",
        timeout_keep_alive=settings.keep_alive_seconds,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        log_config=None,
        access_log=False,
        server_header=False,
        **address,
    )


def connection_of(server: uvicorn.Server) -> asyncio.Protocol:
    """What speaks with a client that has just come."""
    kind: Any = server.config.http_protocol_class
    protocol: asyncio.Protocol = kind(
        config=server.config, server_state=server.server_state, app_state=server.lifespan.state
    )
    return protocol


def handshake_seconds(config: uvicorn.Config) -> float | None:
    """Longest time for a TLS handshake, as long as headers may take; None without TLS."""
    kind: Any = config.http_protocol_class
    return float(kind.header_seconds) if config.ssl else None


class DrainingServer(uvicorn.Server):
    """At SIGTERM readiness turns off and new work is refused while the port stays open and work in flight ends.

    The port closes once `notice_seconds` are over and no visit is left, or after `drain_seconds` at the latest; then
    the exit `status` is not 0.
    """

    def __init__(self, config: uvicorn.Config, intake: Intake, notice_seconds: float, drain_seconds: float) -> None:
        super().__init__(config)
        self._intake = intake
        self._notice_seconds = notice_seconds
        self._drain_seconds = drain_seconds
        self.status = 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Runs between two bytecodes of whatever was going on, so it sets a flag and no more."""
        self._intake.draining = True
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open models and port; what is there by then stays, so that no later garbage collection walks over it."""
        listens_itself = sockets is None and self.config.is_ssl
        await super().startup([] if listens_itself else sockets)
        if listens_itself:
            await self._listen()
        gc.collect()
        gc.freeze()

    async def _listen(self) -> None:
        """Listen by TLS as uvicorn does, which leaves a client that is silent a minute for the handshake."""
        config = self.config
        try:
            listening = await asyncio.get_running_loop().create_server(
                partial(connection_of, self),
                config.host,
                config.port,
                ssl=config.ssl,
                backlog=config.backlog,
                ssl_handshake_timeout=handshake_seconds(config),
            )
        except OSError as error:
            structlog.get_logger().error("cannot listen", reason=error.strerror)
            await self.lifespan.shutdown()
            sys.exit(STARTUP_FAILURE)
        self.servers.append(listening)
        self._log_started_message(listening.sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then let uvicorn close what is left in what is left of the time."""
        self._intake.draining = True
        structlog.get_logger().info("draining", visits=self._intake.visits)
        started = time.monotonic()
        while not self.force_exit and self._waits(time.monotonic() - started):  # noqa: ASYNC110 - uvicorn's flag is no event
            await asyncio.sleep(0.05)
        if visits := self._intake.own_visits:
            self.status = CUT_OFF
            structlog.get_logger().error("drain-ran-out", visits=visits)
        left = self._drain_seconds - (time.monotonic() - started)
        self.config.timeout_graceful_shutdown = max(1, math.ceil(left))
        await super().shutdown(sockets)

    def _waits(self, elapsed: float) -> bool:
        return elapsed < self._notice_seconds or (self._intake.visits > 0 and elapsed < self._drain_seconds)
