"""One model, from picture to explained answer, on a lane of its own below `/predict`."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from service.batcher import Batcher
from service.contract.card import Card, Explain
from service.contract.probabilities import probabilities
from service.cpus import give_way
from service.errors import DeadlineExceeded, InferenceFailed, NoRoom, Overloaded
from service.explain_session import PREDICTED, ExplainSession, Gradients, Question, explain_each
from service.explanation import Explanation, Seen, Wish, check_wish, draw, see
from service.memory import halved_at_need
from service.metrics import Metrics
from service.predictor import Prediction, Timing, prediction_of
from service.priorities import ROUTINE, Priority, Urgency, places_for
from service.settings import Settings
from service.tally import Tally
from service.tracing import OFF, Tracing
from service.waiting import Answer

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Explained:
    """The prediction, and an explanation a target."""

    prediction: Prediction
    explanations: list[Explanation]


class Explainer:
    """Decodes and draws in `threads`, batches before the layers' `sessions`; predictions keep theirs.

    A permit is taken before a picture is decoded, and the queue has room for every picture that holds one.
    """

    def __init__(
        self,
        card: Card,
        offer: Explain,
        sessions: Mapping[str, ExplainSession],
        *,
        threads: Executor,
        settings: Settings,
        metrics: Metrics,
        stat_threads: Executor | None = None,
        renew: Callable[[], None] = lambda: None,
        tracing: Tracing = OFF,
        batcher: Batcher[Question, Gradients] | None = None,
        admitted: Tally | None = None,
    ) -> None:
        plan = next(iter(sessions.values())).plan
        self.card = card
        self.offer = offer
        self._threads = {"routine": threads, "stat": stat_threads or threads}
        self._settings = settings
        self._metrics = metrics
        self._tracing = tracing
        self._labels = {"model": card.name, "version": str(card.version)}
        self._admitted = admitted or Tally()
        self._together = plan.max_batch_size
        self._batcher: Batcher[Question, Gradients] = batcher or Batcher(
            tracing.traced(halved_at_need(partial(explain_each, sessions)), f"explain {card.name}/{card.version}"),
            lanes=plan.lanes,
            max_batch_size=self._together,
            max_queue_size=2 * self.permits,  # so that permits alone refuse
            name="explain-lane",
            begin=partial(give_way, settings.lanes_nice),
            routine_ageing_ms=settings.routine_ageing_ms,
            stuck_seconds=settings.stuck_seconds,
            max_stuck_runs=settings.max_stuck_runs,
            renew=renew,
            **metrics.counters("explain", self._labels),
        )
        metrics.explain_queue_depth.labels(**self._labels).set_function(lambda: self._batcher.depth)
        metrics.explain_ready.labels(**self._labels).set_function(lambda: float(self.ready))

    @property
    def batcher(self) -> Batcher[Question, Gradients]:
        """What stands before the sessions."""
        return self._batcher

    @property
    def permits(self) -> int:
        """Most questions at once, over all processes."""
        return self._settings.explain_max_pictures * self._together

    @property
    def ready(self) -> bool:
        """Whether the lane is at work."""
        return self._batcher.alive

    async def start(self) -> None:
        """Start the lane."""
        await self._batcher.start()

    async def stop(self) -> None:
        """Finish what waits, then end the lane."""
        await self._batcher.stop()

    def refuse_if_full(self, priority: Priority = "routine") -> None:
        """Raise `Overloaded` where a picture would be refused anyway, so that its bytes need not be waited for."""
        most = places_for(priority, self._settings.explain_max_pictures)
        if self._admitted.whole >= most:
            raise Overloaded(f"{most} pictures are being explained already")

    async def explain(self, content: bytes, wish: Wish, urgency: Urgency = ROUTINE) -> Explained:
        """The answer to the picture in `content` and the maps wished for; raises a `ServiceError` that says why not."""
        check_wish(wish, self.card.class_names, self.offer)
        started = time.perf_counter()
        deadline = min(self._settings.deadline_ms / 1000, urgency.ends - started)
        with self._permit(urgency.priority), suppress(TimeoutError):  # as a batcher's
            async with asyncio.timeout(deadline):
                explained = await self._explain(content, wish, urgency._replace(ends=started + deadline))
            seconds = self._metrics.explain_seconds.labels(**self._labels, method=wish.method)
            seconds.observe(explained.prediction.timing.total)
            return explained
        raise DeadlineExceeded.within(deadline)

    async def _explain(self, content: bytes, wish: Wish, urgency: Urgency) -> Explained:
        started = time.perf_counter()
        threads = self._threads[urgency.priority]
        seen = await in_thread(threads, self._see, content)
        decoded = time.perf_counter()
        targets = wish.targets(self.card.class_names)
        questions = [Question(seen.pixels, target, wish.layer) for target in targets]
        answers = await self._ask(questions, urgency)
        try:
            probs = probabilities(answers[0].result.logits, self.card.temperature)
            names = [self.card.class_names[probs.argmax() if target == PREDICTED else target] for target in targets]
            drawn = [
                await in_thread(threads, draw, seen, answer.result, name, wish)
                for answer, name in zip(answers, names, strict=True)
            ]
        except ValueError as error:
            raise InferenceFailed from error
        queue, run = answers[0].queue_seconds, answers[0].run_seconds
        timing = Timing(decoded - started, queue, run, time.perf_counter() - started)
        return Explained(prediction_of(probs, self.card.class_names, answers[0].batch_size, timing), drawn)

    async def _ask(self, questions: Sequence[Question], urgency: Urgency) -> list[Answer[Gradients]]:
        """An answer a question, in order; never more of one picture in the queue than a batch."""
        answers: list[Answer[Gradients]] = []
        carried = [self._tracing.carry(question) for question in questions]
        for start in range(0, len(carried), self._together):
            together = carried[start : start + self._together]
            left = urgency.ends - time.perf_counter()
            answers += await asyncio.gather(*(self._batcher.submit(each, left, urgency.priority) for each in together))
        return answers

    def _see(self, content: bytes) -> Seen:
        limit = min(self._settings.max_pixels, self._settings.explain_max_pixels)
        return see(content, self.card.input, limit, self._settings.min_side)

    @contextmanager
    def _permit(self, priority: Priority) -> Iterator[None]:
        self.refuse_if_full(priority)
        self._admitted.own += 1
        try:
            yield
        finally:
            self._admitted.own -= 1


async def in_thread(threads: Executor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of `work`, done in one of the threads; raises `NoRoom` where there is no memory for it."""
    try:
        return await asyncio.get_running_loop().run_in_executor(threads, lambda: work(*args, **kwargs))
    except MemoryError as error:
        raise NoRoom("there is no memory left for the picture and its maps") from error
