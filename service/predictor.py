"""One model, from picture to answer."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from service.batcher import Batcher
from service.contract.card import Card
from service.contract.preprocess import Slice
from service.contract.probabilities import Probabilities, probabilities, tumor_probability
from service.errors import DeadlineExceeded, Overloaded, ServiceError
from service.images import read_slice
from service.metrics import Metrics
from service.session import CPU, Plan, Session
from service.settings import Settings


@dataclass(frozen=True)
class Timing:
    """Where a prediction's time went, in seconds."""

    decode: float
    queue: float
    inference: float
    total: float


@dataclass(frozen=True)
class Prediction:
    """The answer to one slice; `probabilities` follow the card's class order."""

    label: str
    probabilities: dict[str, float]
    tumor_probability: float
    batch_size: int
    timing: Timing


def prediction_of(probs: Probabilities, names: Sequence[str], batch_size: int, timing: Timing) -> Prediction:
    """The answer that the probabilities of the classes `names` amount to."""
    return Prediction(
        label=names[int(probs.argmax())],
        probabilities=dict(zip(names, probs.tolist(), strict=True)),
        tumor_probability=float(tumor_probability(probs, names)),
        batch_size=batch_size,
        timing=timing,
    )


@dataclass(frozen=True)
class _Outcome:
    """What a lane made of one picture: its probabilities or its error, and seconds of its batch's two steps."""

    found: Probabilities | Exception
    decode: float
    run: float


class Predictor:
    """Batches before `session`, and keeps no more pictures at once than it can answer.

    On the CPU a lane decodes the pictures of its batch itself: one thread a core does all, and nothing waits between.
    A GPU's lane is fed by `decoders`, and so is every lane where the settings say how many of them there are.

    The permit is taken before a picture is decoded, so that a full service refuses without spending a core on it.
    """

    def __init__(self, card: Card, session: Session, decoders: Executor, settings: Settings, metrics: Metrics) -> None:
        plan = session.plan
        self.card = card
        self._session = session
        self._decoders = decoders
        self._settings = settings
        self._metrics = metrics
        self._labels = {"model": card.name, "version": str(card.version)}
        self._admitted = 0
        self._permits = settings.max_queue_size + plan.lanes * plan.max_batch_size
        self._decodes_apart = plan.provider != CPU or settings.decode_threads is not None
        self._batcher: Batcher[bytes | Slice, _Outcome] = Batcher(
            self._answer,
            lanes=plan.lanes,
            max_batch_size=plan.max_batch_size,
            max_queue_delay_ms=settings.max_queue_delay_ms,
            max_queue_size=settings.max_queue_size,
        )
        metrics.queue_depth.labels(**self._labels).set_function(lambda: self._batcher.depth)
        metrics.model_ready.labels(**self._labels, provider=session.provider).set_function(lambda: float(self.ready))

    @property
    def ready(self) -> bool:
        """Whether every lane is at work."""
        return self._batcher.alive

    @property
    def plan(self) -> Plan:
        """Lanes × threads × batch size in force."""
        return self._session.plan

    async def start(self) -> None:
        """Start the lanes."""
        await self._batcher.start()

    async def stop(self) -> None:
        """Finish what waits, then end the lanes."""
        await self._batcher.stop()

    def refuse_if_full(self) -> None:
        """Raise `Overloaded` where a picture would be refused anyway, so that its bytes need not be waited for."""
        if self._admitted >= self._permits:
            error = Overloaded(f"{self._admitted} slices are being answered already")
            self._metrics.failures.labels(**self._labels, problem=error.slug).inc()
            raise error

    async def predict(self, content: bytes) -> Prediction:
        """The answer to the picture in `content`; raises a `ServiceError` that says why there is none."""
        try:
            with self._permit():
                prediction = await self._predict(content)
        except ServiceError as error:
            self._metrics.failures.labels(**self._labels, problem=error.slug).inc()
            raise
        self._observe(prediction)
        return prediction

    async def predict_each(self, contents: Sequence[bytes]) -> list[Prediction | ServiceError]:
        """An answer or an error for each picture, in order; one picture's error harms no other."""
        together = min(2 * self.plan.lanes * self.plan.max_batch_size, self._settings.max_queue_size)
        places = asyncio.Semaphore(together)

        async def predict(content: bytes) -> Prediction | ServiceError:
            async with places:
                try:
                    return await self.predict(content)
                except ServiceError as error:
                    return error
                except Exception:  # noqa: BLE001 - one picture's fault must not take its neighbours' answers
                    structlog.get_logger().exception("unhandled")
                    return ServiceError()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(predict(content)) for content in contents]
        return [task.result() for task in tasks]

    def prepare(self, content: bytes) -> Slice:
        """The network's input from a picture's bytes; raises the images' errors and `BlankImage`."""
        return read_slice(content, self.card.input, self._settings.max_pixels, self._settings.min_side)[1]

    async def _predict(self, content: bytes) -> Prediction:
        started = time.perf_counter()
        deadline = self._settings.deadline_ms / 1000
        payload = await self._decoded(content, deadline) if self._decodes_apart else content
        apart = time.perf_counter() - started
        answer = await self._batcher.submit(payload, deadline - apart)
        outcome = answer.result
        if isinstance(outcome.found, Exception):
            raise outcome.found
        timing = Timing(
            apart if self._decodes_apart else outcome.decode,
            answer.queue_seconds,
            outcome.run,
            time.perf_counter() - started,
        )
        return prediction_of(outcome.found, self.card.class_names, answer.batch_size, timing)

    async def _decoded(self, content: bytes, deadline: float) -> Slice:
        """The slice from a decoder's thread."""
        try:
            async with asyncio.timeout(deadline):
                return await asyncio.get_running_loop().run_in_executor(self._decoders, self.prepare, content)
        except TimeoutError:
            raise DeadlineExceeded(f"not decoded within {self._settings.deadline_ms:.0f} ms") from None

    def _answer(self, payloads: Sequence[bytes | Slice]) -> list[_Outcome]:
        """A lane's work: a picture that cannot be read gets its own error and harms no other of its batch."""
        started = time.perf_counter()
        prepared = [self._prepared(payload) for payload in payloads]
        decoded = time.perf_counter()
        rows = iter(self._infer([each for each in prepared if not isinstance(each, Exception)]))
        found = [each if isinstance(each, Exception) else next(rows) for each in prepared]
        run = time.perf_counter() - decoded
        return [_Outcome(each, decoded - started, run) for each in found]

    def _prepared(self, payload: bytes | Slice) -> Slice | Exception:
        try:
            return self.prepare(payload) if isinstance(payload, bytes) else payload
        except Exception as error:  # noqa: BLE001 - whatever one picture raises belongs to its own caller
            return error

    def _infer(self, slices: Sequence[Slice]) -> Sequence[Probabilities]:
        """A picture that is alone in the service gets every core."""
        if not slices:
            return []
        run = self._session.run_alone if self._admitted == 1 else self._session.run
        return list(probabilities(run(slices), self.card.temperature))

    @contextmanager
    def _permit(self) -> Iterator[None]:
        if self._admitted >= self._permits:
            raise Overloaded(f"{self._admitted} slices are being answered already")
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    def _observe(self, prediction: Prediction) -> None:
        timing = prediction.timing
        for stage in ("decode", "queue", "inference"):
            self._metrics.stage_seconds.labels(**self._labels, stage=stage).observe(getattr(timing, stage))
        self._metrics.batch_size.labels(**self._labels).observe(prediction.batch_size)
        self._metrics.predictions.labels(**self._labels, label=prediction.label).inc()
