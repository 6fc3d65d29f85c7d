"""A front's end of its link to the engine: pictures go into slots, answers come back to whoever asked."""

import asyncio
import itertools
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from service.contract.preprocess import Slice
from service.errors import NotReady, Overloaded, ServiceError, WorkerDied
from service.processes.lines import Lines
from service.processes.memory import Bytes, map_memory, slots_of
from service.processes.post import Message, Post
from service.processes.wire import BundleNote, Lane, error_from, lane_of, note_from

Read = Callable[[Message, Bytes], Any]
"""Makes an answer of the engine's word and the slot's room for answers; it keeps nothing that lies in the slot."""
HELLO_SECONDS = 10.0


@dataclass(eq=False)
class Request:
    """One picture at the engine. Its slot is the engine's until the engine has spoken, whoever has left meanwhile."""

    identity: int
    lane: int
    slot: int
    read: Read
    future: asyncio.Future[Any]


class Link:
    """Knows which answer belongs to whom.

    An identity is used once a link, and every slot carries that of the request it belongs to; a link serves one front
    and one engine, and neither's successor. So an answer reaches its own request or nobody.
    """

    def __init__(self, hello: Message, descriptor: int, lost: Callable[["Link"], None]) -> None:
        self.lanes: list[Lane] = [lane_of(told) for told in hello["lanes"]]
        self.bundles: list[BundleNote] = [note_from(told) for told in hello["bundles"]]
        self.default: str | None = hello["default"]
        self.states: list[tuple[bool, int]] = [(alive, depth) for alive, depth in hello["states"]]
        self._slots = slots_of(map_memory(descriptor), [lane.shape for lane in self.lanes])
        self._free = [list(range(lane.shape.slots)) for lane in self.lanes]
        self._identities = itertools.count((hello["generation"] << 32) + 1)
        self._asked: dict[int, Request] = {}
        self._calls: dict[int, asyncio.Future[None]] = {}
        self._lines: Lines | None = None
        self._retiring = False
        self._lost = lost

    @classmethod
    async def over(cls, end: socket.socket, lost: Callable[["Link"], None] = lambda _: None) -> "Link":
        """The link over a connected socket, once the engine has greeted; raises `NotReady` if it never does.

        `lost` is called when it ends.
        """
        post = Post(end, timeout=HELLO_SECONDS)
        received = await asyncio.to_thread(post.receive)
        if received is None or len(received[1]) != 1:
            post.close()
            raise NotReady("the inference process did not greet")
        link = cls(received[0], received[1][0], lost)
        end, read = post.detach()
        link._lines = Lines(link._heard, link._ended, read)
        await link._lines.begin(end)
        return link

    @property
    def open(self) -> bool:
        """Whether the engine is there."""
        return self._lines is not None and self._lines.open

    def alive(self, lane: int) -> bool:
        """Whether a lane of the engine is at work."""
        return self.open and self.states[lane][0]

    def depth(self, lane: int) -> int:
        """Entries that wait before a lane, of all fronts."""
        return self.states[lane][1] if self.open else 0

    def ask(self, lane: int, pixels: Slice, words: Message, read: Read) -> Request:
        """Hand a picture over; raises `WorkerDied` or `Overloaded`."""
        if not self.open or self._lines is None:
            raise WorkerDied("the inference process is being restarted")
        if not self._free[lane]:
            raise Overloaded(f"{self.lanes[lane].shape.slots} slices are being answered already")
        slot, identity = self._free[lane].pop(), next(self._identities)
        self._slots[lane].give(slot, identity, pixels)
        request = Request(identity, lane, slot, read, asyncio.get_running_loop().create_future())
        self._asked[identity] = request
        self._lines.send({"ask": identity, "lane": lane, "slot": slot, **words})
        return request

    def leave(self, request: Request) -> None:
        """Nobody waits for the request any more; where it is not answered yet, the engine need not compute it."""
        request.future.cancel()
        if request.identity in self._asked and self._lines:
            self._lines.send({"cancel": request.identity})

    async def call(self, method: str, *arguments: Any) -> None:
        """Have the engine's catalogue load or unload models; raises what that raises."""
        if not self.open or self._lines is None:
            raise WorkerDied("the inference process is being restarted")
        identity = next(self._identities)
        called = self._calls[identity] = asyncio.get_running_loop().create_future()
        self._lines.send({"call": identity, "method": method, "arguments": arguments})
        await called

    def resign(self) -> None:
        """Tell the engine that a newer link has taken over; only requests that began with this one may still ask."""
        if self._lines:
            self._lines.send({"resign": True})

    def retire(self) -> None:
        """Hang up once all that was asked is answered."""
        self._retiring = True
        self._close_if_done()

    def _heard(self, message: Message) -> None:
        if "states" in message:
            self.states = [(alive, depth) for alive, depth in message["states"]]
            return
        if called := self._calls.pop(message["to"], None):
            settle(called, error_from(message["fault"]) if "fault" in message else None)
            self._close_if_done()
            return
        request = self._asked.pop(message["to"], None)
        if request is None:
            structlog.get_logger().error("an answer to nobody", identity=message["to"])
            return
        self._settle(request, message)
        self._free[request.lane].append(request.slot)
        self._close_if_done()

    def _settle(self, request: Request, message: Message) -> None:
        if request.future.done():
            return
        slots = self._slots[request.lane]
        if slots.owner(request.slot) != request.identity:
            request.future.set_exception(ServiceError())
        elif "fault" in message:
            request.future.set_exception(error_from(message["fault"]))
        else:
            try:
                request.future.set_result(request.read(message, slots.answer(request.slot)))
            except Exception as error:  # noqa: BLE001 - an answer that makes no sense is its own caller's alone
                request.future.set_exception(ServiceError())
                structlog.get_logger().error("unreadable answer", cause=type(error).__name__)

    def _ended(self) -> None:
        """The engine is gone, and with it all that it was asked."""
        asked, self._asked = self._asked, {}
        for future in (*(request.future for request in asked.values()), *self._calls.values()):
            settle(future, WorkerDied("the inference process is gone; it is being restarted"))
        self._lost(self)

    def _close_if_done(self) -> None:
        if self._retiring and not self._asked and not self._calls and self._lines:
            self._lines.close()


def settle(future: asyncio.Future[Any], error: ServiceError | None) -> None:
    """End a wait, with an error or well; one that has ended already stays as it is."""
    if future.done():
        return
    if error:
        future.set_exception(error)
    else:
        future.set_result(None)
