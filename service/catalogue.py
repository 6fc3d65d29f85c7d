"""The models that answer: one predictor a bundle that opened, and which of them is the default."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import structlog

from service.cpus import give_way, usable_cpus
from service.errors import LoadFailed, NotExplainable, NotReady, UnknownModel
from service.explainer import Explainer
from service.metrics import Metrics
from service.predictor import Predictor
from service.priorities import PRIORITIES, Priority
from service.repository import Bundle, Repository, unloaded_bundle
from service.session import ProviderUnavailable
from service.settings import Settings
from service.tracing import OFF, Tracing
from service.worker import Worker, WorkerLost

Key = tuple[str, int]


class Serving(NamedTuple):
    """What answers for one bundle; without an explainer it predicts alone."""

    predictor: Predictor
    explainer: Explainer | None

    async def stop(self) -> None:
        """Finish what waits, then end the lanes."""
        await self.predictor.stop()
        if self.explainer:
            await self.explainer.stop()


async def nobody() -> None:
    """Wait for no visit, where none are counted."""


class Catalogue:
    """Opens the repository's bundles into predictors, starts and stops them, also while requests come.

    `all_left` returns once every request has left that is here when it is called: what they were given stays for them.
    """

    def __init__(
        self,
        repository: Repository,
        settings: Settings,
        metrics: Metrics,
        all_left: Callable[[], Awaitable[None]] = nobody,
        tracing: Tracing = OFF,
    ) -> None:
        self.repository = repository
        self._tracing = tracing
        self._settings = settings
        self._metrics = metrics
        self._all_left = all_left
        self._serving: dict[Key, Serving] = {}
        self._decoders = pools(settings.decode_threads or usable_cpus(), "decode")
        self._give_way = partial(give_way, settings.lanes_nice)
        self._drawers = pools(settings.explain_threads, "explain", self._give_way)
        self._default = settings.default_model
        self._changing = asyncio.Lock()
        self._leaving: dict[asyncio.Task[None], Serving] = {}

    async def start(self) -> None:
        """Load the repository off the event loop, then start a predictor for each bundle that opened."""
        await asyncio.to_thread(self.repository.load)
        for bundle in self.repository.bundles:
            if bundle.session:
                self._serving[bundle.name, bundle.version] = await self._started(bundle)
        self._default = self._default or self._first_that_serves()

    async def stop(self) -> None:
        """Finish what waits, end the threads."""
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*(serving.stop() for serving in [*self._serving.values(), *self._leaving.values()]))
        for pool in [*self._decoders.values(), *self._drawers.values()]:
            pool.shutdown(wait=False)

    async def load(self, name: str, version: int | None = None) -> Bundle:
        """Open a version as it lies on the disk, the highest where none is named, and let it serve from now on.

        Requests that are here already keep the version that they were given. Raises `UnknownModel`, or `LoadFailed`
        with the reason, and then whatever served goes on.
        """
        async with self._changing:
            bundle = await self._opened(name, version)
            serving = await self._started(bundle) if bundle.session else None
            if serving or (name, bundle.version) not in self._serving:
                self._exchange(bundle, serving)
        if serving is None:
            raise LoadFailed(f"{name} version {bundle.version}: {bundle.reason}")
        return bundle

    async def unload(self, name: str, version: int | None = None) -> None:
        """Let a version, or all of a model, serve no more once the requests that are here have left.

        Raises `UnknownModel`.
        """
        async with self._changing:
            self.repository.find(name, version)
            for bundle in self.repository.bundles:
                if bundle.name == name and version in (None, bundle.version):
                    self._exchange(unloaded_bundle(name, bundle.version, bundle.card), None)
                    self._metrics.forget({"model": name, "version": str(bundle.version)})

    @property
    def predictors(self) -> Mapping[Key, Predictor]:
        """Those that serve now, by model and version."""
        return {key: serving.predictor for key, serving in self._serving.items()}

    @property
    def explainers(self) -> Mapping[Key, Explainer]:
        """Those that explain now, by model and version."""
        return {key: serving.explainer for key, serving in self._serving.items() if serving.explainer}

    @property
    def default(self) -> str | None:
        """The model that answers when none is named: the settings' choice, else the first that served, fp32 first.

        It stays when that model is unloaded: callers who name none must not get another model's answers unawares.
        """
        self._default = self._default or self._first_that_serves()
        return self._default or next(iter(self.repository.names), None)

    def find(self, name: str | None = None, version: int | None = None) -> Bundle:
        """The bundle meant by `model` and `version`; raises `UnknownModel`, or `NotReady` where none is the default."""
        if name is None and self.default is None:
            raise NotReady("the repository holds no model")
        if name is None and self.default not in self.repository.names:
            raise NotReady(f"the repository does not hold the default model {self.default!r}")
        return self.repository.find(name or self.default or "", version)

    def predictor(self, name: str | None = None, version: int | None = None) -> Predictor:
        """The predictor meant by a request; raises `UnknownModel`, or `NotReady` where the bundle does not serve."""
        return self._find_serving(name, version).predictor

    def explainer(self, name: str | None = None, version: int | None = None) -> Explainer:
        """The explainer meant by a request; raises as `predictor` does, or `NotExplainable`."""
        predictor, explainer = self._find_serving(name, version)
        if explainer is None:
            raise NotExplainable(f"{predictor.card.name} version {predictor.card.version} has no explain.onnx")
        return explainer

    def state(self, bundle: Bundle) -> str:
        """`ready`, `failed` (never opened), `unloaded`, or `stopped` (its lanes are being mended)."""
        serving = self._serving.get((bundle.name, bundle.version))
        if serving is None:
            return bundle.state
        return "ready" if serving.predictor.ready else "stopped"

    def explain_state(self, bundle: Bundle) -> str | None:
        """`ready` or `stopped` (its explain lane is gone, while predictions go on); None where it cannot explain."""
        serving = self._serving.get((bundle.name, bundle.version))
        if serving is None or serving.explainer is None:
            return None
        return "ready" if serving.explainer.ready else "stopped"

    def fault(self) -> str | None:
        """Why the service cannot answer now, or None when it can."""
        stopped = [
            f"{name}/{version}" for (name, version), serving in self._serving.items() if not serving.predictor.ready
        ]
        if stopped:
            return f"the worker of {', '.join(stopped)} has stopped"
        try:
            self.predictor()
        except (NotReady, UnknownModel) as error:
            return str(error)
        return None

    def _first_that_serves(self) -> str | None:
        served = {(b.card.precision != "fp32", b.name) for b in self.repository.bundles if b.card and b.session}
        return min(served)[1] if served else None

    def _find_serving(self, name: str | None, version: int | None) -> Serving:
        bundle = self.find(name, version)
        serving = self._serving.get((bundle.name, bundle.version))
        if serving is None:
            raise NotReady(f"{bundle.name} version {bundle.version} does not serve; its entry in /models says why")
        return serving

    async def _opened(self, name: str, version: int | None) -> Bundle:
        """A bundle opened in a thread that gives way; raises `UnknownModel` or `LoadFailed`."""
        worker = Worker("load", begin=self._give_way)
        opening = worker.call(self.repository.open, name, version)
        worker.dismiss()
        try:
            return await opening
        except (ProviderUnavailable, WorkerLost) as error:
            raise LoadFailed(f"{name}: {error}") from error

    async def _started(self, bundle: Bundle) -> Serving:
        """The bundle's predictor and explainer, at work; it must be open."""
        card, session, sessions = bundle.card, bundle.session, bundle.explain_sessions
        if not (card and session):
            raise NotReady(bundle.reason or "")
        settings, metrics = self._settings, self._metrics
        metrics.forget({"model": card.name, "version": str(card.version)})  # of one that explained, or ran elsewhere
        renew = partial(self.repository.renew, card)
        predictor = Predictor(
            card, session, self._decoders["routine"], settings, metrics,
            stat_decoders=self._decoders["stat"], renew=partial(renew, session), tracing=self._tracing,
        )  # fmt: skip
        await predictor.start()
        if not (card.explain and sessions):
            return Serving(predictor, None)
        explainer = Explainer(
            card, card.explain, sessions, threads=self._drawers["routine"], settings=settings, metrics=metrics,
            stat_threads=self._drawers["stat"], renew=partial(renew, *sessions.values()), tracing=self._tracing,
        )  # fmt: skip
        await explainer.start()
        return Serving(predictor, explainer)

    def _exchange(self, bundle: Bundle, serving: Serving | None) -> None:
        """Let `serving` answer for the bundle from now on, and the old one go when its requests have left."""
        old = self._serving.pop((bundle.name, bundle.version), None)
        if serving:
            self._serving[bundle.name, bundle.version] = serving
        self.repository.keep(bundle)
        structlog.get_logger().info(
            "model", name=bundle.name, version=bundle.version, state=bundle.state, reason=bundle.reason
        )
        if old:
            task = asyncio.create_task(self._see_off(old))
            self._leaving[task] = old
            task.add_done_callback(lambda task: self._leaving.pop(task, None))

    async def _see_off(self, old: Serving) -> None:
        await self._all_left()
        await old.stop()


def pools(threads: int, name: str, begin: Callable[[], None] | None = None) -> dict[Priority, Executor]:
    """Threads for each priority, since a pool knows no order but that of arrival; those without work cost nothing."""
    return {each: ThreadPoolExecutor(threads, f"{name}-{each}", initializer=begin) for each in PRIORITIES}
