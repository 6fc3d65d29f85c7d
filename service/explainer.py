"""One model, from picture to explained answer, on a lane of its own below `/predict`."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from service.batcher import Answer, Batcher
from service.contract.card import Card, Explain
from service.contract.probabilities import probabilities
from service.cpus import give_way
from service.errors import DeadlineExceeded, InferenceFailed, Overloaded
from service.explain_session import PREDICTED, ExplainSession, Gradients, Question, explain_each
from service.explanation import Explanation, Seen, Wish, check_wish, draw, see
from service.metrics import Metrics
from service.predictor import Prediction, Timing, prediction_of
from service.settings import Settings
from service.tracing import OFF, Tracing

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
        tracing: Tracing = OFF,
    ) -> None:
        plan = next(iter(sessions.values())).plan
        self.card = card
        self.offer = offer
        self._threads = threads
        self._settings = settings
        self._metrics = metrics
        self._tracing = tracing
        self._labels = {"model": card.name, "version": str(card.version)}
        self._admitted = 0
        self._together = plan.max_batch_size
        self._batcher: Batcher[Question, Gradients] = Batcher(
            tracing.traced(partial(explain_each, sessions), f"explain {card.name}/{card.version}"),
            lanes=plan.lanes,
            max_batch_size=self._together,
            max_queue_size=settings.explain_max_pictures * self._together,
            name="explain-lane",
            begin=give_way,
        )
        metrics.explain_queue_depth.labels(**self._labels).set_function(lambda: self._batcher.depth)
        metrics.explain_ready.labels(**self._labels).set_function(lambda: float(self.ready))

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

    def refuse_if_full(self) -> None:
        """Raise `Overloaded` where a picture would be refused anyway, so that its bytes need not be waited for."""
        most = self._settings.explain_max_pictures
        if self._admitted >= most:
            raise Overloaded(f"{most} pictures are being explained already")

    async def explain(self, content: bytes, wish: Wish) -> Explained:
        """The answer to the picture in `content` and the maps wished for; raises a `ServiceError` that says why not."""
        check_wish(wish, self.card.class_names, self.offer)
        deadline = self._settings.deadline_ms / 1000
        try:
            with self._permit():
                async with asyncio.timeout(deadline):
                    explained = await self._explain(content, wish, deadline)
        except TimeoutError:
            raise DeadlineExceeded(f"no answer within {self._settings.deadline_ms:.0f} ms") from None
        seconds = self._metrics.explain_seconds.labels(**self._labels, method=wish.method)
        seconds.observe(explained.prediction.timing.total)
        return explained

    async def _explain(self, content: bytes, wish: Wish, deadline: float) -> Explained:
        started = time.perf_counter()
        seen = await self._in_thread(self._see, content)
        decoded = time.perf_counter()
        targets = wish.targets(self.card.class_names)
        answers = await self._ask([Question(seen.pixels, target, wish.layer) for target in targets], deadline)
        try:
            probs = probabilities(answers[0].result.logits, self.card.temperature)
            names = [self.card.class_names[probs.argmax() if target == PREDICTED else target] for target in targets]
            drawn = [
                await self._in_thread(draw, seen, answer.result, name, wish)
                for answer, name in zip(answers, names, strict=True)
            ]
        except ValueError as error:
            raise InferenceFailed from error
        queue, run = answers[0].queue_seconds, answers[0].run_seconds
        timing = Timing(decoded - started, queue, run, time.perf_counter() - started)
        return Explained(prediction_of(probs, self.card.class_names, answers[0].batch_size, timing), drawn)

    async def _ask(self, questions: Sequence[Question], deadline: float) -> list[Answer[Gradients]]:
        """An answer a question, in order; never more of one picture in the queue than a batch."""
        answers: list[Answer[Gradients]] = []
        carried = [self._tracing.carry(question) for question in questions]
        for start in range(0, len(carried), self._together):
            together = carried[start : start + self._together]
            answers += await asyncio.gather(*(self._batcher.submit(question, deadline) for question in together))
        return answers

    def _see(self, content: bytes) -> Seen:
        limit = min(self._settings.max_pixels, self._settings.explain_max_pixels)
        return see(content, self.card.input, limit, self._settings.min_side)

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*args, **kwargs))

    @contextmanager
    def _permit(self) -> Iterator[None]:
        self.refuse_if_full()
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1
