"""What a front has in place of sessions and queues: the engine's, at the other end of a link."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import numpy as np

from service.batcher import Batcher
from service.contract.preprocess import Slice
from service.errors import DeadlineExceeded
from service.explain_session import ExplainSession, Gradients, Question
from service.inference import Outcome, Picture
from service.priorities import Priority
from service.processes.link import Link
from service.processes.memory import Bytes
from service.processes.post import Message
from service.session import Plan, Session
from service.waiting import Answer

Payload = TypeVar("Payload")
Result = TypeVar("Result")


class RemoteSession(Session):
    """A session that runs in the engine: its plan and provider, to be shown."""

    def __init__(self, plan: Plan, provider: str) -> None:
        self.plan = plan
        self.provider = provider


class RemoteExplainSession(ExplainSession):
    """An explain session that runs in the engine."""

    def __init__(self, plan: Plan, layer: str) -> None:
        self.plan = plan
        self.layer = layer


class RemoteBatcher(Batcher[Payload, Result]):
    """A queue that stands in the engine, where the pictures of all fronts share batches.

    `split` makes a payload a picture and words; `read` makes the engine's words and a slot's bytes a result.
    """

    def __init__(
        self,
        link: Link,
        lane: int,
        split: Callable[[Payload], tuple[Slice, Message]],
        read: Callable[[Message, Bytes], Result],
    ) -> None:
        self._link = link
        self._lane_index = lane
        self._split = split
        self._read = read

    @property
    def alive(self) -> bool:
        """Whether the engine is there and its lane at work."""
        return self._link.alive(self._lane_index)

    @property
    def depth(self) -> int:
        """Entries of all fronts that wait."""
        return self._link.depth(self._lane_index)

    async def start(self) -> None:
        """The engine has started its lanes."""

    async def stop(self) -> None:
        """The engine stops its lanes."""

    async def submit(self, payload: Payload, deadline_seconds: float, priority: Priority = "routine") -> Answer[Result]:
        """Wait for the payload's own answer; raises what a batcher's `submit` raises."""
        pixels, words = self._split(payload)
        words |= {"ends": time.monotonic() + deadline_seconds, "priority": priority}
        request = self._link.ask(self._lane_index, pixels, words, partial(answer_of, self._read))
        try:
            with suppress(TimeoutError):  # as a batcher's
                async with asyncio.timeout(deadline_seconds):
                    answer: Answer[Result] = await request.future
                    return answer
            raise DeadlineExceeded.within(deadline_seconds)
        finally:
            self._link.leave(request)


def answer_of(read: Callable[[Message, Bytes], Result], message: Message, room: Bytes) -> Answer[Result]:
    """The engine's answer with the result that `read` makes of it."""
    told = message["answer"]
    return Answer(read(told, room), told["batch_size"], told["queue_seconds"], told["run_seconds"])


def told_answer(answer: Answer[Any]) -> Message:
    """What the engine tells of any answer, but for its result."""
    return {"batch_size": answer.batch_size, "queue_seconds": answer.queue_seconds, "run_seconds": answer.run_seconds}


def split_picture(picture: Picture) -> tuple[Slice, Message]:
    """A picture to predict, which a front has decoded: nothing but its slice."""
    if isinstance(picture, bytes):
        raise TypeError("the engine decodes no pictures")
    return picture, {}


def told_outcome(outcome: Outcome) -> Message:
    """An outcome travels as words; JSON keeps every digit of a double. Raises what the picture met instead."""
    if isinstance(outcome.found, Exception):
        raise outcome.found
    return {"probabilities": outcome.found.tolist(), "infer_seconds": outcome.run_seconds}


def read_outcome(told: Message, _: Bytes) -> Outcome:
    """The outcome that was told; fronts send slices alone, so that the run had the whole batch."""
    return Outcome(np.array(told["probabilities"], np.float64), 0.0, told["infer_seconds"], told["batch_size"])


def split_question(question: Question) -> tuple[Slice, Message]:
    """A question: its picture, and the rest in words."""
    return question.pixels, {"target": question.target, "layer": question.layer}


def write_gradients(gradients: Gradients, room: Bytes) -> Message:
    """Put activations and gradients into a slot; raises `ValueError` where they do not fit."""
    values = np.stack([gradients.activations, gradients.gradients]).astype(np.float32, copy=False)
    room[: values.nbytes].view(np.float32)[:] = values.ravel()
    return {"logits": gradients.logits.tolist(), "shape": values.shape}


def read_gradients(told: Message, room: Bytes) -> Gradients:
    """A copy of the gradients in a slot."""
    shape = tuple(told["shape"])
    values = room[: int(np.prod(shape)) * 4].view(np.float32).reshape(shape).copy()
    return Gradients(np.array(told["logits"], np.float32), values[0], values[1])
