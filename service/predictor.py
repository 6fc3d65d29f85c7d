"""One model, from picture to answer."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import structlog

from service.batcher import Batcher
from service.contract.card import Card
from service.contract.preprocess import Slice
from service.contract.probabilities import Probabilities, tumor_probability
from service.cpus import be_nice
from service.errors import ClientGone, DeadlineExceeded, Overloaded, ServiceError
from service.inference import STAGES, Inference, Outcome, Picture
from service.metrics import Metrics
from service.priorities import PRIORITIES, ROUTINE, Priority, Urgency, places_for
from service.session import CPU, Plan, Session
from service.settings import Settings
from service.tally import Tally
from service.tracing import OFF, Tracing


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


class Predictor:
    """Batches before `session`, and keeps no more pictures at once than it can answer.

    On the CPU a lane decodes the pictures of its batch itself, so that one thread a core does all and none waits for
    another. A GPU's lane is fed by `decoders`, and so is every lane where the settings say how many of those there are.

    A `batcher` of one's own and a tally that others count in are for a session that runs in another process.

    The permit is taken before a picture is decoded, so that a full service refuses without spending a core on it.
    """

    def __init__(
        self,
        card: Card,
        session: Session,
        decoders: Executor,
        settings: Settings,
        metrics: Metrics,
        *,
        stat_decoders: Executor | None = None,
        renew: Callable[[], None] = lambda: None,
        tracing: Tracing = OFF,
        batcher: Batcher[Picture, Outcome] | None = None,
        admitted: Tally | None = None,
    ) -> None:
        plan = session.plan
        self.card = card
        self._session = session
        self._decoders = {"routine": decoders, "stat": stat_decoders or decoders}
        self._settings = settings
        self._metrics = metrics
        self._tracing = tracing
        self._labels = {"model": card.name, "version": str(card.version)}
        self._admitted = admitted or Tally()
        self._permits = settings.max_queue_size + plan.lanes * plan.max_batch_size
        self._stages = {each: metrics.stage_seconds.labels(**self._labels, stage=each) for each in STAGES}
        self._inference = Inference(
            card, session, settings, self._stages, lambda: self._batcher.quiet,
            get_on=lambda: self._batcher.get_on(),  # noqa: PLW0108 - there is no batcher yet
        )  # fmt: skip
        self._lanes_decode = plan.provider == CPU and settings.decode_threads is None and batcher is None
        self._batcher: Batcher[Picture, Outcome] = batcher or Batcher(
            tracing.traced(self._inference, f"infer {card.name}/{card.version}"),
            lanes=plan.lanes,
            max_batch_size=plan.max_batch_size,
            max_queue_delay_ms=settings.max_queue_delay_ms,
            max_queue_size=self._permits,  # so that permits alone refuse, also what comes before a lane can take any
            routine_ageing_ms=settings.routine_ageing_ms,
            stuck_seconds=settings.stuck_seconds,
            max_stuck_runs=settings.max_stuck_runs,
            begin=partial(be_nice, settings.lanes_nice) if settings.lanes_nice else None,
            renew=renew,
            sound=lambda outcome: not isinstance(outcome.found, Exception),
            **metrics.counters("predict", self._labels),
        )
        self._queue_seconds = {each: metrics.queue_seconds.labels(**self._labels, priority=each) for each in PRIORITIES}
        metrics.begin_failures(self._labels)
        metrics.queue_depth.labels(**self._labels).set_function(lambda: self._batcher.depth)
        metrics.model_ready.labels(**self._labels, provider=session.provider).set_function(lambda: float(self.ready))

    @property
    def ready(self) -> bool:
        """Whether a lane is at work."""
        return self._batcher.alive

    @property
    def plan(self) -> Plan:
        """Lanes × threads × batch size in force."""
        return self._session.plan

    @property
    def batcher(self) -> Batcher[Picture, Outcome]:
        """What stands before the session."""
        return self._batcher

    @property
    def permits(self) -> int:
        """Most pictures at once, over all processes."""
        return self._permits

    async def start(self) -> None:
        """Start the lanes."""
        await self._batcher.start()

    async def stop(self) -> None:
        """Finish what waits, then end the lanes."""
        await self._batcher.stop()

    def refuse_if_full(self, priority: Priority = "routine") -> None:
        """Raise `Overloaded` where a picture would be refused anyway, so that its bytes need not be waited for."""
        if self._admitted.whole >= self._permits_for(priority):
            error = Overloaded(f"{self._admitted.whole} slices are being answered already")
            self._count(error)
            raise error

    async def predict(self, content: bytes, urgency: Urgency = ROUTINE) -> Prediction:
        """The answer to the picture in `content`; raises a `ServiceError` that says why there is none."""
        try:
            with self._permit(urgency.priority):
                prediction = await self._predict(content, urgency)
        except ServiceError as error:
            self._count(error)
            raise
        except asyncio.CancelledError:
            self._count(ClientGone())
            raise
        except Exception:
            self._count(ServiceError())
            raise
        self._observe(prediction, urgency.priority)
        return prediction

    async def predict_each(
        self, contents: Sequence[bytes], urgency: Urgency = ROUTINE
    ) -> list[Prediction | ServiceError]:
        """An answer or an error for each picture, in order; one picture's error harms no other."""
        room = places_for(urgency.priority, self._settings.max_queue_size)
        together = min(2 * self.plan.lanes * self.plan.max_batch_size, room)
        places = asyncio.Semaphore(together)

        async def predict(content: bytes) -> Prediction | ServiceError:
            async with places:
                try:
                    return await self.predict(content, urgency)
                except ServiceError as error:
                    return error
                except Exception:  # noqa: BLE001 - one picture's fault must not take its neighbours' answers
                    structlog.get_logger().exception("unhandled")
                    return ServiceError()

        return await asyncio.gather(*map(predict, contents))

    def _count(self, error: ServiceError) -> None:
        self._metrics.failures.labels(**self._labels, problem=error.slug).inc()

    async def _predict(self, content: bytes, urgency: Urgency) -> Prediction:
        started = time.perf_counter()
        ends = min(started + self._settings.deadline_ms / 1000, urgency.ends)
        picture = content if self._lanes_decode else await self._prepared(content, urgency.priority, ends)
        apart = time.perf_counter() - started
        carried = self._tracing.carry(picture)
        answer = await self._batcher.submit(carried, ends - time.perf_counter(), urgency.priority)
        outcome = answer.result
        if isinstance(outcome.found, Exception):
            try:
                raise outcome.found
            finally:
                del answer, outcome  # which the error's traceback leads to, and they to the error
        decoding = outcome.decode_seconds if self._lanes_decode else apart
        timing = Timing(decoding, answer.queue_seconds, outcome.run_seconds, time.perf_counter() - started)
        return prediction_of(outcome.found, self.card.class_names, outcome.run_slices, timing)

    async def _prepared(self, content: bytes, priority: Priority, ends: float) -> Slice:
        """The network's input, made in a decoder's thread."""
        asked = time.perf_counter()
        with suppress(TimeoutError):  # as a batcher's
            async with asyncio.timeout(ends - asked):
                return await asyncio.get_running_loop().run_in_executor(
                    self._decoders[priority], self._prepare_in_turn, content, asked
                )
        raise DeadlineExceeded.within(ends - asked, "not decoded")

    def _prepare_in_turn(self, content: bytes, asked: float) -> Slice:
        """The network's input, in a decoder's thread, which came free some time after `asked`."""
        self._stages["decoder_queue"].observe(time.perf_counter() - asked)
        return self._inference.prepare(content)

    @contextmanager
    def _permit(self, priority: Priority) -> Iterator[None]:
        if self._admitted.whole >= self._permits_for(priority):
            raise Overloaded(f"{self._admitted.whole} slices are being answered already")
        self._admitted.own += 1
        try:
            yield
        finally:
            self._admitted.own -= 1

    def _permits_for(self, priority: Priority) -> int:
        running = self._permits - self._settings.max_queue_size
        return running + places_for(priority, self._settings.max_queue_size)

    def _observe(self, prediction: Prediction, priority: Priority) -> None:
        self._queue_seconds[priority].observe(prediction.timing.queue)
        self._stages["queue"].observe(prediction.timing.queue)
        self._metrics.batch_size.labels(**self._labels).observe(prediction.batch_size)
        self._metrics.predictions.labels(**self._labels, label=prediction.label).inc()
