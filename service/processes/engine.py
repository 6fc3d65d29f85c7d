"""`python -m service.processes.engine FD`: the one process that holds the models and infers, for all fronts.

Its supervisor starts it; it ends when its supervisor hangs up and the fronts' links are gone.
"""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress

import numpy as np
from uvicorn.loops.auto import auto_loop_factory

from service.app import explain_session_opener, log_models, session_opener
from service.catalogue import Catalogue
from service.explain_session import PREDICTED, ExplainSession, Question
from service.logs import configure
from service.metrics import Metrics
from service.processes.gathering import REPORT_SECONDS, snapshot_of
from service.processes.memory import SlotShape
from service.processes.post import Message, Post
from service.processes.serving import Offer, Serving
from service.processes.wire import Lane
from service.repository import Repository
from service.session import ProviderUnavailable
from service.settings import Settings

STATE_SECONDS = 0.05
"""How often the fronts hear of a change in a lane's health and depth."""
SLOTS_A_PERMIT = 2
"""A slot stays taken until its answer is back, also where its caller has left and the permit is another's."""


class Engine:
    """Opens the models, proves them, and serves a link a front."""

    def __init__(self, settings: Settings, post: Post) -> None:
        self._settings = settings
        self._post = post
        self._metrics = Metrics()
        repository = Repository(settings.models, session_opener(settings), explain_session_opener(settings))
        self._catalogue = Catalogue(repository, settings, self._metrics)
        self._servings: set[Serving] = set()
        self._greetings: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the supervisor hangs up and the fronts are gone, or have had their time."""
        self._orphaned, self._alone = asyncio.Event(), asyncio.Event()
        self._alone.set()
        await self._catalogue.start()
        log_models(self._catalogue)
        self._offer = Offer(0, self._catalogue, lanes_of(self._catalogue), self._changed)
        self._post.listen(self._heard, self._orphaned.set)
        self._say({"ready": True})
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
        self._say({"report": token, "snapshot": snapshot_of(self._metrics.registry)})

    def _say(self, message: Message) -> None:
        with suppress(OSError):  # nobody hears any more, which the listening thread finds too
            self._post.send(message)

    async def _report(self) -> None:
        while True:
            self._send_report(None)
            await asyncio.sleep(REPORT_SECONDS)

    async def _greet(self, end: socket.socket, generation: int) -> None:
        try:
            serving = await Serving.over(end, generation, self._offer, self._left)
        except OSError:
            end.close()  # the front died before it was greeted
            return
        if serving.open:  # else it has left already
            self._servings.add(serving)
            self._alone.clear()

    async def _changed(self) -> int:
        """Offer what there is now; the fronts learn of it by new links."""
        lanes = await asyncio.to_thread(lanes_of, self._catalogue)
        self._offer = Offer(self._offer.number + 1, self._catalogue, lanes, self._changed)
        self._say({"changed": True})
        return self._offer.number

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


def lanes_of(catalogue: Catalogue) -> list[Lane]:
    """A lane for every predictor and every explainer, with slots for all the pictures that these let in."""
    lanes = []
    for (name, version), predictor in catalogue.predictors.items():
        height, width = predictor.card.input.height, predictor.card.input.width
        shape = SlotShape(SLOTS_A_PERMIT * predictor.permits, height, width, 0)
        lanes.append(Lane("predict", name, version, shape))
    for (name, version), explainer in catalogue.explainers.items():
        height, width = explainer.card.input.height, explainer.card.input.width
        sessions = catalogue.find(name, version).explain_sessions.values()
        answer = max(gradient_bytes(session, height, width) for session in sessions)
        shape = SlotShape(SLOTS_A_PERMIT * explainer.permits, height, width, answer)
        lanes.append(Lane("explain", name, version, shape))
    return lanes


def gradient_bytes(session: ExplainSession, height: int, width: int) -> int:
    """Bytes of one answer of the session: activations and gradients, in float32."""
    blank = np.zeros((height, width), np.uint8)
    (answer,) = session.explain([Question(blank, PREDICTED, session.layer)])
    return 4 * (answer.activations.size + answer.gradients.size)


def main() -> None:
    """Serve, then end at once: a thread that hangs in a run must not keep a process that nobody needs."""
    for ignored in (signal.SIGTERM, signal.SIGINT):  # sent to the whole group; the fronts still need answers
        signal.signal(ignored, signal.SIG_IGN)
    post = Post(socket.socket(fileno=int(sys.argv[1])))
    received = post.receive()
    if received is None:
        os._exit(0)
    settings = Settings(**received[0]["settings"])
    configure(settings.log_level)
    status = 0
    try:
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
            runner.run(Engine(settings, post).run())
    except (ValueError, ProviderUnavailable) as error:
        print(f"cannot start: {error}", file=sys.stderr)  # noqa: T201 - the supervisor ends with this line
        status = 2
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
