"""The engine's end of a link: one front's requests, each answered in its slot or in words."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from service.catalogue import Catalogue
from service.errors import NotReady, ServiceError
from service.explain_session import Question
from service.processes.lines import Lines
from service.processes.memory import Slots, map_memory, new_memory, size_of, slots_of
from service.processes.post import Message, Post
from service.processes.remote import told_answer, write_gradients
from service.processes.wire import Lane, fault_of, note_of

CHANGES = frozenset({"load", "unload"})
"""What a front may ask of the engine's catalogue, by the catalogue's own names."""
GREETING_SECONDS = 10


@dataclass(frozen=True)
class Offer:
    """What the engine serves; `changed` makes the next offer, once this may no longer hold, and gives its number."""

    number: int
    catalogue: Catalogue
    lanes: list[Lane]
    changed: Callable[[], Awaitable[int]]

    def hello(self, generation: int) -> Message:
        """The greeting of a link."""
        return {
            "generation": generation,
            "offer": self.number,
            "lanes": [lane.told() for lane in self.lanes],
            "bundles": [note_of(bundle).told() for bundle in self.catalogue.repository.bundles],
            "states": states_of(self.catalogue, self.lanes),
        }


class Serving:
    """Answers what one front asks, each question in a task of its own; a front that is gone is not computed for."""

    def __init__(self, offer: Offer, slots: list[Slots], ended: Callable[["Serving"], None]) -> None:
        self._offer = offer
        self._catalogue = offer.catalogue
        self._lanes = offer.lanes
        self._slots = slots
        self._ended = ended
        self._tasks: dict[int, asyncio.Task[Message]] = {}
        self._lines = Lines(self._heard, self._lost)
        self._told: Message = {}

    @classmethod
    async def over(
        cls, end: socket.socket, generation: int, offer: Offer, ended: Callable[["Serving"], None]
    ) -> "Serving":
        """Greet the front at the other end of the socket and serve it from now on; raises `OSError` if it is gone."""
        shapes = [lane.shape for lane in offer.lanes]
        descriptor = new_memory(size_of(shapes))
        try:
            await asyncio.to_thread(Post(end, timeout=GREETING_SECONDS).send, offer.hello(generation), descriptor)
        except OSError:
            os.close(descriptor)
            raise
        serving = cls(offer, slots_of(map_memory(descriptor), shapes), ended)
        await serving._lines.begin(end)
        return serving

    @property
    def open(self) -> bool:
        """Whether the front is there."""
        return self._lines.open

    def tell_states(self) -> None:
        """Tell the front how the lanes are, where that has changed."""
        states: Message = {"states": states_of(self._catalogue, self._lanes)}
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
        elif "call" in message:
            task = self._tasks[message["call"]] = asyncio.create_task(self._answer(message))
            task.add_done_callback(partial(self._reply, message["call"]))
        else:
            task = self._tasks[message["ask"]] = asyncio.create_task(self._answer(message))
            task.add_done_callback(partial(self._reply, message["ask"]))

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
                return {"answer": await self._change(message["method"], message["arguments"])}
            return {"answer": await self._result(message)}
        except ServiceError as error:
            if error.__cause__ is not None:
                structlog.get_logger().error(error.slug, cause=type(error.__cause__).__name__)
            return {"fault": fault_of(error)}
        except Exception:  # noqa: BLE001 - whatever one question does must not end the link
            structlog.get_logger().exception("unhandled")
            return {"fault": fault_of(ServiceError())}

    async def _result(self, message: Message) -> Message:
        lane, slot = self._lanes[message["lane"]], message["slot"]
        slots = self._slots[message["lane"]]
        check_owner(slots, slot, message["ask"])
        told = await (self._predict if lane.kind == "predict" else self._explain)(lane, slots, message)
        check_owner(slots, slot, message["ask"])
        return told

    async def _change(self, method: str, arguments: list[Any]) -> Message:
        if method not in CHANGES or not hasattr(self._catalogue, method):
            raise NotReady(f"models cannot be asked to {method} here")
        try:
            await getattr(self._catalogue, method)(*arguments)
        finally:
            number = await self._offer.changed()
        return {"offer": number}

    async def _predict(self, lane: Lane, slots: Slots, message: Message) -> Message:
        predictor = self._catalogue.predictors.get((lane.name, lane.version))
        if predictor is None:
            raise NotReady(f"{lane.name} version {lane.version} does not serve any more")
        pixels = slots.pixels(message["slot"])
        answer = await predictor.batcher.submit(pixels, message["deadline"], *message["options"])
        return {**told_answer(answer), "probabilities": answer.result.tolist()}

    async def _explain(self, lane: Lane, slots: Slots, message: Message) -> Message:
        explainer = self._catalogue.explainers.get((lane.name, lane.version))
        if explainer is None:
            raise NotReady(f"{lane.name} version {lane.version} does not explain any more")
        question = Question(slots.pixels(message["slot"]), message["target"], message["layer"])
        answer = await explainer.batcher.submit(question, message["deadline"], *message["options"])
        return {**told_answer(answer), **write_gradients(answer.result, slots.answer(message["slot"]))}


def check_owner(slots: Slots, slot: int, identity: int) -> None:
    """Raise `RuntimeError` where the slot holds another request's picture: its answer must not be given."""
    if (owner := slots.owner(slot)) != identity:
        raise RuntimeError(f"slot {slot} is {owner}'s, not {identity}'s")


def states_of(catalogue: Catalogue, lanes: list[Lane]) -> list[tuple[bool, int]]:
    """Whether each lane is at work, and how many entries wait before it."""
    return [_state(catalogue, lane) for lane in lanes]


def _state(catalogue: Catalogue, lane: Lane) -> tuple[bool, int]:
    found: dict[tuple[str, int], Any] = dict(catalogue.predictors if lane.kind == "predict" else catalogue.explainers)
    one = found.get((lane.name, lane.version))
    return (bool(one.ready), int(one.batcher.depth)) if one else (False, 0)
