"""Starts the engine and the fronts, keeps them alive, hands them links, adds up their metrics, and ends them.

It holds the port and does nothing that could fail for long: neither pictures nor models come near it.
"""

import asyncio
import itertools
import signal
import socket
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from uvicorn.config import STARTUP_FAILURE

from service.logs import Lines
from service.processes.board import Board
from service.processes.child import Child, told_settings
from service.processes.gathering import Snapshot, counts_alone, merged, snapshot_of
from service.processes.nursery import Nursery
from service.processes.post import Message
from service.routes.access import callers_of
from service.session import choose_provider
from service.settings import Settings

BACKLOG = 2048
REPORT_SECONDS = 1.0
"""A process that does not report in this time counts with what it last said."""
LOOK_SECONDS, MOST_VAIN_LOOKS = 1.0, 20
"""A process that has said nothing for so many looks hangs; each reports once a second, but loading may stop it."""
END_SECONDS = 10.0
"""Beyond the drain's time, before a process that does not end is killed."""


def supervise(settings: Settings, lines: Lines) -> int:
    """Serve with several processes until told to stop; the exit status.

    Raises `ValueError` and `ProviderUnavailable` as a single process does.
    """
    if sys.platform != "linux":
        raise ValueError("workers > 1 needs Linux: its processes share memory that has no name")
    callers_of(settings)
    choose_provider(settings.provider)
    try:
        return asyncio.run(Supervisor(settings, lines).run())
    finally:
        lines.close()


class Supervisor:
    """One engine, `settings.workers` fronts."""

    def __init__(self, settings: Settings, lines: Lines) -> None:
        self._settings = settings
        self._lines = lines
        self._board = Board.new(settings.workers)
        self._door = bound_socket(settings.host, settings.port)
        words = {"settings": told_settings(settings)}
        self._engine = Child("engine", Nursery("service.processes.engine", ()), words, self._heard_engine)
        self._nursery = Nursery("service.processes.front", (self._door.fileno(), self._board.descriptor))
        self._fronts = [
            Child(f"front-{place}", self._nursery, {**words, "place": place}, self._heard_front)
            for place in range(settings.workers)
        ]
        self._generations = itertools.count(1)
        self._tokens = itertools.count()
        self._reports: dict[int, set[str]] = {}
        self._reported = asyncio.Condition()
        self._retired: Snapshot = []
        self._registry, self._restarts = self._own_metrics()
        self._tasks: set[asyncio.Task[None]] = set()
        self._status = 0

    async def run(self) -> int:
        """Serve until told to stop; 0 where all ended as they should."""
        self._stop = asyncio.Event()
        self._loaded = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        engine = asyncio.create_task(self._keep(self._engine))
        fronts: list[asyncio.Task[None]] = []
        if await self._until(self._loaded):
            self._door.listen(BACKLOG)
            address = self._door.getsockname()
            structlog.get_logger().info("listening", host=address[0], port=address[1], workers=len(self._fronts))
            fronts = [asyncio.create_task(self._keep(front)) for front in self._fronts]
            await self._watch()
        await self._end(engine, fronts)
        return self._status

    async def _watch(self) -> None:
        """Until it is time to stop, kill whoever is up and silent, for it hangs, and keep a spare front."""
        while not self._stop.is_set():
            for child in (self._engine, *self._fronts):
                if child.look() > MOST_VAIN_LOOKS:
                    structlog.get_logger().error("process hangs", process=child.name)
                    child.signal(signal.SIGKILL)
            if all(front.up for front in self._fronts):
                await self._nursery.refill()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOOK_SECONDS)

    async def _until(self, event: asyncio.Event) -> bool:
        """Whether the event came before it was time to stop."""
        waits = [asyncio.create_task(each.wait()) for each in (event, self._stop)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return not self._stop.is_set()

    async def _keep(self, child: Child) -> None:
        """Keep a process in its place until it is time to stop; one that never got up ends the service."""
        while True:
            status = await child.run()
            self._bury(child)
            if self._stop.is_set():
                return
            if not child.ever_up:
                self._status = status if status > 0 else STARTUP_FAILURE
                self._stop.set()
                return
            await child.wait_to_restart(self._stop)
            if self._stop.is_set():
                return

    def _bury(self, child: Child) -> None:
        """What a dead process counted stays in the sum; what it held is free."""
        self._retired = merged([self._retired, counts_alone(child.snapshot)])
        child.snapshot = []
        if child is self._engine:
            self._loaded.clear()
        else:
            self._board.clear(child.place)
        if not self._stop.is_set():
            self._restarts.labels(process="engine" if child is self._engine else "front").inc()

    async def _end(self, engine: asyncio.Task[None], fronts: list[asyncio.Task[None]]) -> None:
        """Let the fronts drain, then the engine go."""
        self._door.close()
        self._nursery.dismiss()
        for front in self._fronts:
            front.signal(signal.SIGTERM)
        await self._gone(fronts, self._fronts, self._settings.drain_seconds + END_SECONDS)
        self._engine.hang_up()
        await self._gone([engine], [self._engine], END_SECONDS)
        await self._nursery.gone()
        if not self._status and any(child.status not in (0, -signal.SIGTERM, None) for child in self._fronts):
            self._status = 1

    async def _gone(self, tasks: list[asyncio.Task[None]], children: list[Child], seconds: float) -> None:
        if not tasks:
            return
        _, waiting = await asyncio.wait(tasks, timeout=seconds)
        for child in children if waiting else []:
            child.signal(signal.SIGKILL)
        for task in waiting:
            with suppress(TimeoutError):
                await asyncio.wait_for(task, END_SECONDS)

    def _heard_engine(self, child: Child, message: Message, _: list[int]) -> None:
        if "report" in message:
            self._note_report(child, message)
            return
        child.remember({"listed": message["listed"]})
        if "ready" in message:
            child.up = child.ever_up = True
            self._loaded.set()
        for front in self._fronts:  # it is ready, or offers something else than before
            self._link(front)

    def _heard_front(self, child: Child, message: Message, _: list[int]) -> None:
        if "up" in message:
            child.up = child.ever_up = True
            self._link(child)
        elif "unlinked" in message:
            self._link(child)
        elif "report" in message:
            self._note_report(child, message)
        elif "gather" in message:
            self._spawn(self._gather(child, message))

    def _link(self, front: Child) -> None:
        """A new line between a front and the engine, once both are up."""
        if not (front.up and self._engine.up):
            return
        one, other = socket.socketpair()
        generation = next(self._generations)
        with one, other:
            self._engine.tell({"link": generation}, one.fileno())
            front.tell({"link": generation}, other.fileno())

    def _note_report(self, child: Child, message: Message) -> None:
        child.snapshot = message["snapshot"]
        if (awaited := self._reports.get(message["report"])) is not None:
            awaited.discard(child.name)
            self._spawn(self._tell_waiting())

    async def _tell_waiting(self) -> None:
        async with self._reported:
            self._reported.notify_all()

    async def _gather(self, front: Child, message: Message) -> None:
        """Answer a front with what all processes count; those that do not report in time count with their last."""
        front.snapshot = message["snapshot"]
        others = [child for child in (self._engine, *self._fronts) if child.listens and child is not front]
        token = next(self._tokens)
        awaited = self._reports[token] = {child.name for child in others}
        for child in others:
            child.tell({"report": token})
        with suppress(TimeoutError):
            async with asyncio.timeout(REPORT_SECONDS), self._reported:
                await self._reported.wait_for(lambda: not awaited)
        del self._reports[token]
        living = [child.snapshot for child in (self._engine, *self._fronts)]
        whole = merged([*living, self._retired, snapshot_of(self._registry)])
        if front.listens:
            front.tell({"gathered": message["gather"], "snapshot": whole})

    def _own_metrics(self) -> tuple[CollectorRegistry, Counter]:
        registry = CollectorRegistry()
        processes = Gauge("neurotriage_processes", "Processes that are up.", ("process",), registry=registry)
        processes.labels(process="engine").set_function(lambda: float(self._engine.up))
        processes.labels(process="front").set_function(lambda: float(sum(front.up for front in self._fronts)))
        restarts = Counter("neurotriage_restarts_total", "Processes that died.", ("process",), registry=registry)
        for process in ("engine", "front"):
            restarts.labels(process=process)
        lost = Gauge("neurotriage_lost_log_lines", "Log lines that could not be written.", registry=registry)
        lost.set_function(lambda: self._lines.lost)
        return registry, restarts

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that has the port and does not listen yet; raises `ValueError` where the port cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ValueError(f"{host}:{port} cannot be listened on: {error.strerror}") from None
    return bound
