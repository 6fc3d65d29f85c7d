"""A front's catalogue: the engine's bundles, answered over a link that is made anew whenever the engine is."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping

from service.catalogue import Catalogue, Key, Serving
from service.errors import NotReady
from service.explain_session import Gradients, Question
from service.explainer import Explainer
from service.metrics import Metrics
from service.predictor import Predictor
from service.processes.board import FIRST_LANE, Board
from service.processes.link import Link
from service.processes.remote import (
    RemoteBatcher,
    RemoteExplainSession,
    RemoteSession,
    read_gradients,
    read_outcome,
    split_picture,
    split_question,
)
from service.processes.wire import BundleNote, Kind
from service.repository import Bundle, Repository
from service.settings import Settings

FIRST_LINK_SECONDS = 10.0
"""How long a front keeps its door shut for the engine; after that it opens and says that it is not ready."""


class RemoteRepository(Repository):
    """The bundles that the engine opened."""

    def __init__(self, notes: list[BundleNote]) -> None:
        self._bundles = {(note.name, note.version): bundle_of(note) for note in notes}

    def load(self) -> None:
        """The engine has loaded them."""


class RemoteCatalogue(Catalogue):
    """Predictors and explainers whose queues stand in the engine.

    `all_left` returns once every request of this front has left that is here when it is called.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, board: Board, all_left: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(RemoteRepository([]), settings, metrics, all_left)
        self._board = board
        self._link: Link | None = None
        self._linked = asyncio.Event()
        self._adopting = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Wait for the engine, but not for ever: a front without one still says why it cannot answer."""
        try:
            async with asyncio.timeout(FIRST_LINK_SECONDS):
                await self._linked.wait()
        except TimeoutError:
            return

    async def adopt(self, end: socket.socket, lost: Callable[[], None]) -> None:
        """Answer over a new link from now on; whoever is here already still asks over the old one.

        `lost` is called when the link ends and no newer one has taken its place. Raises `NotReady` without a greeting.
        """
        async with self._adopting:
            link = await Link.over(end, lambda ended: lost() if ended is self._link else None)
            old, self._link = self._link, link
            self._take_up(link)
            self._linked.set()
            if old:
                old.resign()
                task = asyncio.create_task(self._retire(old))
                self._retiring.add(task)
                task.add_done_callback(self._retiring.discard)
            if not link.open:  # it ended before anybody could be told
                lost()

    def _take_up(self, link: Link) -> None:
        """Offer what the engine at the other end does."""
        self.repository = RemoteRepository(link.bundles)
        explains = lanes(link, "explain")
        self._default = link.default
        for name, version in self._serving:
            self._metrics.forget({"model": name, "version": str(version)})
        self._serving = {
            key: Serving(
                self._predictor(link, key, lane), self._explainer(link, key, explains[key]) if key in explains else None
            )
            for key, lane in lanes(link, "predict").items()
        }

    async def _retire(self, link: Link) -> None:
        await self._all_left()
        link.retire()

    async def load(self, name: str, version: int | None = None) -> Bundle:
        """Have the engine open a version; raises what its catalogue raises."""
        await self._change("load", name, version)
        return self.find(name, version)

    async def unload(self, name: str, version: int | None = None) -> None:
        """Have the engine let a version go; raises what its catalogue raises."""
        await self._change("unload", name, version)

    async def _change(self, method: str, name: str, version: int | None) -> None:
        """Return once all fronts answer by what the engine then offers."""
        if self._link is None:
            raise NotReady(self._link_fault() or "")
        await self._link.call(method, name, version)

    def fault(self) -> str | None:
        """Why the service cannot answer now, or None when it can."""
        return self._link_fault() or super().fault()

    def _find_serving(self, name: str | None, version: int | None) -> Serving:
        """As the catalogue's; raises `NotReady` while there is no engine."""
        if fault := self._link_fault():
            raise NotReady(fault)
        return super()._find_serving(name, version)

    def _link_fault(self) -> str | None:
        return None if self._link and self._link.open else "the inference process is being started"

    def _predictor(self, link: Link, key: Key, lane: int) -> Predictor:
        bundle = self.repository.find(*key)
        if not (bundle.card and bundle.session):
            raise NotReady
        return Predictor(
            bundle.card,
            bundle.session,
            self._decoders["routine"],
            self._settings,
            self._metrics,
            stat_decoders=self._decoders["stat"],
            batcher=RemoteBatcher(link, lane, split_picture, read_outcome),
            admitted=self._board.tally(FIRST_LANE + link.lanes[lane].row),
        )

    def _explainer(self, link: Link, key: Key, lane: int) -> Explainer:
        bundle = self.repository.find(*key)
        if not (bundle.card and bundle.card.explain):
            raise NotReady
        batcher: RemoteBatcher[Question, Gradients] = RemoteBatcher(link, lane, split_question, read_gradients)
        return Explainer(
            bundle.card,
            bundle.card.explain,
            bundle.explain_sessions,
            threads=self._drawers["routine"],
            stat_threads=self._drawers["stat"],
            settings=self._settings,
            metrics=self._metrics,
            batcher=batcher,
            admitted=self._board.tally(FIRST_LANE + link.lanes[lane].row),
        )


def lanes(link: Link, kind: Kind) -> Mapping[Key, int]:
    """The link's lanes of one kind, by model and version."""
    return {(lane.name, lane.version): index for index, lane in enumerate(link.lanes) if lane.kind == kind}


def bundle_of(note: BundleNote) -> Bundle:
    """The bundle that a note tells of; its sessions run elsewhere."""
    session = RemoteSession(note.plan, note.provider) if note.plan and note.provider else None
    layers = note.card.explain.layers if note.card and note.card.explain else ()
    explain = {layer: RemoteExplainSession(note.explain_plan, layer) for layer in layers if note.explain_plan}
    return Bundle(note.name, note.version, note.card, session, explain, note.reason, note.unloaded)
