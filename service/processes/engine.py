"""`python -m service.processes.engine FD`: the one process that holds the models and infers, for all fronts.

Its supervisor starts it; it ends when its supervisor hangs up and the fronts' links are gone.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from uvicorn.loops.auto import auto_loop_factory

from service.app import explain_session_opener, log_models, session_opener
from service.catalogue import Catalogue, Key
from service.errors import NotReady
from service.logs import Lines, configure
from service.metrics import Metrics
from service.processes.gathering import REPORT_SECONDS, snapshot_of
from service.processes.offer import Offer, Rows, offer_of
from service.processes.post import Message, Post
from service.processes.serving import Serving
from service.repository import Repository, State
from service.session import ProviderUnavailable
from service.settings import Settings

STATE_SECONDS = 0.05
"""How often the fronts hear of a change in a lane's health and depth."""
CHANGES = frozenset({"load", "unload"})
"""What a front may ask of the catalogue, by the catalogue's own names."""
CHANGE_SECONDS = 10.0
"""How long a change waits for fronts that do not take it up; they still answer by what there was, and then do."""


class Engine:
    """Opens the models, proves them, and serves a link a front.

    `before` is what a predecessor listed: only that is opened again, but for what an operator has unloaded.
    """

    def __init__(self, settings: Settings, post: Post, before: Mapping[Key, State] | None = None) -> None:
        self._settings = settings
        self._post = post
        self.metrics = Metrics()
        openers = session_opener(settings), explain_session_opener(settings)
        repository = Repository(settings.models, *openers, before=before)
        self._catalogue = Catalogue(repository, settings, self.metrics, self._all_left)
        self._rows: Rows = {}
        self._servings: set[Serving] = set()
        self._greeted: list[Offer] = []
        self._greetings: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the supervisor hangs up and the fronts are gone, or have had their time."""
        self._orphaned, self._alone = asyncio.Event(), asyncio.Event()
        self._alone.set()
        await self._catalogue.start()
        log_models(self._catalogue)
        self._offer = offer_of(self._catalogue, self._rows)
        self._post.listen(self._heard, self._orphaned.set)
        self._say({"ready": True, "listed": self._listed()})
        telling = [asyncio.create_task(each) for each in (self._tell_states(), self._report())]
        await self._orphaned.wait()
        await self._fronts_gone()
        for task in telling:
            task.cancel()
        await self._catalogue.stop()

    def _heard(self, message: Message, descriptors: list[int]) -> None:
        if "link" in message:
            end = socket.socket(fileno=descriptors[0])
            greeting = asyncio.create_task(self._greet(end, message["link"]))
            self._greetings.add(greeting)
            greeting.add_done_callback(self._greetings.discard)
        elif "report" in message:
            self._send_report(message["report"])

    def _send_report(self, token: int | None) -> None:
        self._say({"report": token, "snapshot": snapshot_of(self.metrics.registry)})

    def _say(self, message: Message) -> None:
        with suppress(OSError):  # nobody hears any more, which the listening thread finds too
            self._post.send(message)

    async def _report(self) -> None:
        while True:
            self._send_report(None)
            await asyncio.sleep(REPORT_SECONDS)

    async def _greet(self, end: socket.socket, generation: int) -> None:
        offer = self._offer
        self._greeted.append(offer)
        try:
            serving = await Serving.over(end, generation, offer, self._change, self._left)
            if serving.open:  # else it has left already
                self._servings.add(serving)
                self._alone.clear()
        except OSError:
            end.close()  # the front died before it was greeted
        finally:
            self._greeted.remove(offer)

    async def _change(self, method: str, arguments: list[Any]) -> None:
        """Load or unload models; returns once all fronts answer by what is then offered."""
        if method not in CHANGES:
            raise NotReady(f"models cannot be asked to {method} here")
        try:
            await asyncio.shield(self._changed(getattr(self._catalogue, method), arguments))
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(CHANGE_SECONDS):
                    await self._taken_up()

    async def _changed(self, change: Callable[..., Any], arguments: list[Any]) -> None:
        """Change the catalogue, also where the front that asked has gone; the others learn of it by new links."""
        try:
            await change(*arguments)
        finally:
            self._offer = offer_of(self._catalogue, self._rows)
            self._say({"changed": True, "listed": self._listed()})

    async def _taken_up(self) -> None:
        """Return once no front begins anything by an offer that is no more."""
        while any(each is not self._offer for each in (*self._greeted, *self._asked)):  # noqa: ASYNC110 - rare
            await asyncio.sleep(STATE_SECONDS)

    @property
    def _asked(self) -> list[Offer]:
        """The offers by which fronts begin something."""
        return [serving.offer for serving in self._servings if not serving.resigned]

    async def _all_left(self) -> None:
        """Return once no front asks by an offer that holds what the catalogue serves no more."""
        while not all(each.of(self._catalogue) for each in self._offers):  # noqa: ASYNC110 - rare, and nobody waits
            await asyncio.sleep(STATE_SECONDS)

    @property
    def _offers(self) -> list[Offer]:
        """All offers by which something may still be asked."""
        return [self._offer, *self._greeted, *(serving.offer for serving in self._servings)]

    def _listed(self) -> Message:
        """What a successor must open, and which model is its default."""
        bundles = [[each.name, each.version, each.state] for each in self._catalogue.repository.bundles]
        return {"bundles": bundles, "default_model": self._catalogue.default}

    def _left(self, serving: Serving) -> None:
        self._servings.discard(serving)
        if not self._servings:
            self._alone.set()

    async def _tell_states(self) -> None:
        while True:
            for serving in self._servings:
                serving.tell_states()
            await asyncio.sleep(STATE_SECONDS)

    async def _fronts_gone(self) -> None:
        """Fronts outlive their supervisor by no more than the time they have to drain."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_seconds + 5):
                await self._alone.wait()


def main() -> None:
    """Serve, then end at once: a thread that hangs in a run must not keep a process that nobody needs."""
    for ignored in (signal.SIGTERM, signal.SIGINT):  # sent to the whole group; the fronts still need answers
        signal.signal(ignored, signal.SIG_IGN)
    post = Post(socket.socket(fileno=int(sys.argv[1])))
    received = post.receive()
    if received is None:
        os._exit(0)
    message = received[0]
    settings = Settings(**message["settings"])
    lines = configure(settings.log_level)
    status = 0
    try:
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
            runner.run(engine_of(settings, post, lines, message.get("listed")).run())
    except (ValueError, ProviderUnavailable) as error:
        print(f"cannot start: {error}\n", end="", file=sys.stderr)  # noqa: T201 - one write: two may end at once
        status = 2
    lines.close()
    os._exit(status)


def engine_of(settings: Settings, post: Post, lines: Lines, listed: Message | None) -> Engine:
    """The engine, which goes on where a predecessor ended that listed something."""
    before = None
    if listed:
        before = {(name, version): state for name, version, state in listed["bundles"]}
        settings = settings.model_copy(update={"default_model": listed["default_model"]})
    engine = Engine(settings, post, before)
    engine.metrics.lost_log_lines.set_function(lambda: lines.lost)
    return engine


if __name__ == "__main__":
    main()
