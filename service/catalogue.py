"""The models that answer: one predictor a bundle that opened, and which of them is the default."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from service.cpus import give_way, usable_cpus
from service.errors import NotExplainable, NotReady, UnknownModel
from service.explainer import Explainer
from service.metrics import Metrics
from service.predictor import Predictor
from service.repository import Bundle, Repository
from service.settings import Settings
from service.tracing import OFF, Tracing


class Catalogue:
    """Opens the repository's bundles into predictors, starts and stops them."""

    def __init__(self, repository: Repository, settings: Settings, metrics: Metrics, tracing: Tracing = OFF) -> None:
        self.repository = repository
        self._tracing = tracing
        self._settings = settings
        self._metrics = metrics
        self._predictors: dict[tuple[str, int], Predictor] = {}
        self._decoders = ThreadPoolExecutor(settings.decode_threads or usable_cpus(), thread_name_prefix="decode")
        self._explainers: dict[tuple[str, int], Explainer] = {}
        self._drawers = ThreadPoolExecutor(settings.explain_threads, thread_name_prefix="explain", initializer=give_way)

    async def start(self) -> None:
        """Load the repository off the event loop, then start a predictor for each bundle that opened."""
        await asyncio.to_thread(self.repository.load)
        for bundle in self.repository.bundles:
            if bundle.card and bundle.session:
                predictor = Predictor(
                    bundle.card, bundle.session, self._decoders, self._settings, self._metrics, tracing=self._tracing
                )
                await predictor.start()
                self._predictors[bundle.name, bundle.version] = predictor
                await self._start_explainer(bundle)

    async def stop(self) -> None:
        """Finish what waits, end the threads."""
        await asyncio.gather(
            *(predictor.stop() for predictor in self._predictors.values()),
            *(explainer.stop() for explainer in self._explainers.values()),
        )
        self._decoders.shutdown(wait=False)
        self._drawers.shutdown(wait=False)

    @property
    def default(self) -> str | None:
        """The model that answers when none is named: the settings' choice, else the first name that serves."""
        serving = [bundle.name for bundle in self.repository.bundles if bundle.session]
        return self._settings.default_model or next(iter([*serving, *self.repository.names]), None)

    def find(self, name: str | None = None, version: int | None = None) -> Bundle:
        """The bundle meant by a request's `model` and `version`; raises `UnknownModel`."""
        if name is None and self.default is None:
            raise NotReady("the repository holds no model")
        return self.repository.find(name or self.default or "", version)

    def predictor(self, name: str | None = None, version: int | None = None) -> Predictor:
        """The predictor meant by a request; raises `UnknownModel`, or `NotReady` where the bundle is broken."""
        bundle = self.find(name, version)
        if (bundle.name, bundle.version) not in self._predictors:
            raise NotReady(f"{bundle.name} version {bundle.version} does not serve; its entry in /models says why")
        return self._predictors[bundle.name, bundle.version]

    def explainer(self, name: str | None = None, version: int | None = None) -> Explainer:
        """The explainer meant by a request; raises as `predictor` does, or `NotExplainable`."""
        card = self.predictor(name, version).card
        if (card.name, card.version) not in self._explainers:
            raise NotExplainable(f"{card.name} version {card.version} has no explain.onnx")
        return self._explainers[card.name, card.version]

    def state(self, bundle: Bundle) -> str:
        """`ready`, `failed` (never opened) or `stopped` (its worker is gone)."""
        predictor = self._predictors.get((bundle.name, bundle.version))
        if predictor is None:
            return "failed"
        return "ready" if predictor.ready else "stopped"

    def explain_state(self, bundle: Bundle) -> str | None:
        """`ready` or `stopped` (its explain lane is gone, while predictions go on); None where it cannot explain."""
        explainer = self._explainers.get((bundle.name, bundle.version))
        if explainer is None:
            return None
        return "ready" if explainer.ready else "stopped"

    def fault(self) -> str | None:
        """Why the service cannot answer now, or None when it can."""
        stopped = [
            f"{name}/{version}" for (name, version), predictor in self._predictors.items() if not predictor.ready
        ]
        if stopped:
            return f"the worker of {', '.join(stopped)} has stopped"
        try:
            self.predictor()
        except (NotReady, UnknownModel) as error:
            return str(error)
        return None

    async def _start_explainer(self, bundle: Bundle) -> None:
        if bundle.card and bundle.card.explain and bundle.explain_sessions:
            explainer = Explainer(
                bundle.card,
                bundle.card.explain,
                bundle.explain_sessions,
                threads=self._drawers,
                settings=self._settings,
                metrics=self._metrics,
                tracing=self._tracing,
            )
            await explainer.start()
            self._explainers[bundle.name, bundle.version] = explainer
