"""The engine's end of a link: one front's requests, each answered in its slot or in words."""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog

from service.errors import ServiceError
from service.explain_session import Question
from service.explainer import Explainer
from service.predictor import Predictor
from service.processes.lines import Lines
from service.processes.memory import Slots, map_memory, new_memory, size_of, slots_of
from service.processes.offer import Offer
from service.processes.post import Message, Post
from service.processes.remote import told_answer, told_outcome, write_gradients
from service.processes.wire import fault_of

GREETING_SECONDS = 10

Change = Callable[[str, list[Any]], Awaitable[None]]
"""Changes the engine's catalogue by one of its methods, with these arguments."""


class Serving:
    """Answers what one front asks, each question in a task of its own; a front that is gone is not computed for.

    All is answered by the offer that the link was greeted with: a front prepared its pictures by that offer's cards.
    `resigned` once its front has a newer link.
    """

    def __init__(self, offer: Offer, change: Change, slots: list[Slots], ended: Callable[["Serving"], None]) -> None:
        self.offer = offer
        self.resigned = False
        self._change = change
        self._slots = slots
        self._ended = ended
        self._tasks: dict[int, asyncio.Task[Message]] = {}
        self._lines = Lines(self._heard, self._lost)
        self._told: Message = {}

    @classmethod
    async def over(
        cls, end: socket.socket, generation: int, offer: Offer, change: Change, ended: Callable[["Serving"], None]
    ) -> "Serving":
        """Greet the front at the other end of the socket and serve it from now on; raises `OSError` if it is gone."""
        shapes = [lane.shape for lane in offer.lanes]
        descriptor = new_memory(size_of(shapes))
        try:
            await asyncio.to_thread(Post(end, timeout=GREETING_SECONDS).send, offer.hello(generation), descriptor)
        except OSError:
            os.close(descriptor)
            raise
        serving = cls(offer, change, slots_of(map_memory(descriptor), shapes), ended)
        await serving._lines.begin(end)
        return serving

    @property
    def open(self) -> bool:
        """Whether the front is there."""
        return self._lines.open

    def tell_states(self) -> None:
        """Tell the front how the lanes are, where that has changed."""
        states: Message = {"states": self.offer.states()}
        if states != self._told:
            self._told = states
            self._lines.send(states)

    def close(self) -> None:
        """Hang up."""
        self._lines.close()

    def _heard(self, message: Message) -> None:
        if "cancel" in message:
            if task := self._tasks.get(message["cancel"]):
                task.cancel()
        elif "resign" in message:
            self.resigned = True
        else:
            identity = message["call" if "call" in message else "ask"]
            task = self._tasks[identity] = asyncio.create_task(self._answer(message))
            task.add_done_callback(partial(self._reply, identity))

    def _lost(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._ended(self)

    def _reply(self, identity: int, task: asyncio.Task[Message]) -> None:
        """Reply in every case, to one who left before the task began too: only then is the slot used again."""
        del self._tasks[identity]
        reply = {"fault": fault_of(ServiceError())} if task.cancelled() else task.result()
        self._lines.send({"to": identity, **reply})

    async def _answer(self, message: Message) -> Message:
        try:
            if "call" in message:
                await self._change(message["method"], message["arguments"])
                return {"answer": {}}
            return {"answer": await self._result(message)}
        except ServiceError as error:
            if error.__cause__ is not None:
                structlog.get_logger().error(error.slug, cause=type(error.__cause__).__name__)
            return {"fault": fault_of(error)}
        except Exception:  # noqa: BLE001 - whatever one question does must not end the link
            structlog.get_logger().exception("unhandled")
            return {"fault": fault_of(ServiceError())}

    async def _result(self, message: Message) -> Message:
        lane, slots, slot = self.offer.lanes[message["lane"]], self._slots[message["lane"]], message["slot"]
        check_owner(slots, slot, message["ask"])
        one = self.offer.behind(lane)
        told = await (predict(one, slots, message) if isinstance(one, Predictor) else explain(one, slots, message))
        check_owner(slots, slot, message["ask"])
        return told


async def predict(predictor: Predictor, slots: Slots, message: Message) -> Message:
    """The answer to the picture in a slot."""
    answer = await predictor.batcher.submit(slots.pixels(message["slot"]), time_left(message), message["priority"])
    return {**told_answer(answer), **told_outcome(answer.result)}


async def explain(explainer: Explainer, slots: Slots, message: Message) -> Message:
    """The answer to a question about the picture in a slot, its maps left there."""
    question = Question(slots.pixels(message["slot"]), message["target"], message["layer"])
    answer = await explainer.batcher.submit(question, time_left(message), message["priority"])
    return {**told_answer(answer), **write_gradients(answer.result, slots.answer(message["slot"]))}


def time_left(message: Message) -> float:
    """Seconds until the deadline, by the clock that all processes of a machine share."""
    return float(message["ends"]) - time.monotonic()


def check_owner(slots: Slots, slot: int, identity: int) -> None:
    """Raise `RuntimeError` where the slot holds another request's picture: its answer must not be given."""
    if (owner := slots.owner(slot)) != identity:
        raise RuntimeError(f"slot {slot} is {owner}'s, not {identity}'s")
