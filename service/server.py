"""uvicorn, but that it says it is going before it closes its door."""

import asyncio
import gc
import math
import socket
import time
from types import FrameType
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

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
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

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
