"""`python -m service.processes.front POST DOOR BOARD`: one of the processes that decode and speak HTTP."""

import asyncio
import itertools
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import structlog
from uvicorn.config import STARTUP_FAILURE

from service.app import Parts, create_app, intake_of
from service.cpus import usable_cpus
from service.errors import NotReady
from service.logs import Lines, configure
from service.metrics import Metrics
from service.processes.board import HELD_BYTES, VISITS, Board
from service.processes.catalogue import RemoteCatalogue
from service.processes.door import FrontServer
from service.processes.gathering import REPORT_SECONDS, Snapshot, rendered, snapshot_of
from service.processes.post import Message, Post
from service.server import configured
from service.settings import Settings

GATHER_SECONDS = 3.0
RELINK_SECONDS = 0.5


class Front:
    """One front: its app, and what it says to its supervisor."""

    def __init__(self, settings: Settings, post: Post, board: Board, lines: Lines) -> None:
        self._post = post
        self._metrics = Metrics()
        self._metrics.lost_log_lines.set_function(lambda: lines.lost)
        intake = intake_of(settings, board.tally(HELD_BYTES), board.tally(VISITS))
        self._catalogue = FrontCatalogue(self, settings, self._metrics, board, intake.all_left)
        self._tokens = itertools.count()
        self._gathering: dict[int, asyncio.Future[Snapshot]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.parts = Parts(
            metrics=self._metrics,
            catalogue=self._catalogue,
            intake=intake,
            rates=(
                board.rates(settings.rate_per_minute, settings.rate_burst, time.monotonic)
                if settings.rate_per_minute
                else None
            ),
            render_metrics=self.render_metrics,
        )

    def begin(self) -> None:
        """Listen to the supervisor, in the running loop."""
        self._post.listen(self._heard, orphaned)
        self._post.send({"up": True})
        self._spawn(self._report())

    async def render_metrics(self) -> bytes:
        """What all processes count, as the supervisor adds it up; this one's alone where it does not answer."""
        token, own = next(self._tokens), snapshot_of(self._metrics.registry)
        gathered = self._gathering[token] = asyncio.get_running_loop().create_future()
        try:
            self._post.send({"gather": token, "snapshot": own})
            async with asyncio.timeout(GATHER_SECONDS):
                return rendered(await gathered)
        except (OSError, TimeoutError):
            return rendered(own)
        finally:
            del self._gathering[token]

    def _heard(self, message: Message, descriptors: list[int]) -> None:
        if "link" in message:
            self._spawn(self._adopt(socket.socket(fileno=descriptors[0])))
        elif "report" in message:
            self._send_report(message["report"])
        elif (gathered := self._gathering.get(message["gathered"])) and not gathered.done():
            gathered.set_result(message["snapshot"])

    async def _adopt(self, end: socket.socket) -> None:
        try:
            await self._catalogue.adopt(end, self._unlinked)
        except NotReady as error:
            structlog.get_logger().warning("no link", reason=str(error))
            self._unlinked()

    def _unlinked(self) -> None:
        """Ask for another link, where only the link is gone; an engine that is gone brings one when it is back."""

        async def ask() -> None:
            await asyncio.sleep(RELINK_SECONDS)
            with suppress(OSError):
                self._post.send({"unlinked": True})

        self._spawn(ask())

    async def _report(self) -> None:
        while True:
            self._send_report(None)
            await asyncio.sleep(REPORT_SECONDS)

    def _send_report(self, token: int | None) -> None:
        with suppress(OSError):
            self._post.send({"report": token, "snapshot": snapshot_of(self._metrics.registry)})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class FrontCatalogue(RemoteCatalogue):
    """The catalogue whose start is the front's: only then is there a loop to listen in."""

    def __init__(
        self, front: Front, settings: Settings, metrics: Metrics, board: Board, all_left: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(settings, metrics, board, all_left)
        self._front = front

    async def start(self) -> None:
        """Listen, then wait for the engine."""
        self._front.begin()
        await super().start()


def orphaned() -> None:
    """The supervisor is gone: drain and end, as on its word."""
    structlog.get_logger().error("the supervisor is gone")
    signal.raise_signal(signal.SIGTERM)


def share_of(settings: Settings, place: int) -> Settings:
    """The settings as one front of several takes them: its share of the cores, an audit file of its own."""
    threads = math.ceil((settings.decode_threads or usable_cpus()) / settings.workers)
    audit = settings.audit
    if audit and str(audit) != "-":
        audit = audit.with_stem(f"{audit.stem}-{place}")
    return settings.model_copy(update={"decode_threads": threads, "audit": audit})


def main() -> int:
    """Serve until told to stop; a spare waits here for its first words, and may end without a word of its own."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    post_end, door, board = (int(argument) for argument in sys.argv[1:])
    post = Post(socket.socket(fileno=post_end))
    received = post.receive()
    if received is None:
        return 0
    message = received[0]
    settings = share_of(Settings(**message["settings"]), message["place"])
    lines = configure(settings.log_level)
    front = Front(settings, post, Board(board, settings.workers, message["place"]), lines)
    try:
        app = create_app(settings, front.parts)
    except ValueError as error:
        print(f"cannot start: {error}\n", end="", file=sys.stderr)  # noqa: T201 - one write: two may end at once
        return 2
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config = configured(app, settings)
    server = FrontServer(config, front.parts.intake, settings.drain_notice_seconds, settings.drain_seconds)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(server.status))  # uvicorn raises it again once it has drained
    try:
        with suppress(KeyboardInterrupt):  # uvicorn raises it again once it has drained
            server.run(sockets=[socket.socket(fileno=door)])
    finally:
        lines.close()
    return server.status if server.started else STARTUP_FAILURE


if __name__ == "__main__":
    os._exit(main())
