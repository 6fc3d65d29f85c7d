"""Memory that a front and the engine share: slots for pictures on their way in and maps on their way out."""

import fcntl
import mmap
import os
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from service.contract.preprocess import Slice

Bytes = npt.NDArray[np.uint8]
LINE = 64
"""Bytes to which every part of a slot is aligned: a cache line."""
GROWN = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
"""A file that a peer could shorten would end whoever reads it with SIGBUS."""


@dataclass(frozen=True)
class SlotShape:
    """What a slot of one lane holds: a picture (height, width) and `answer_bytes` of answer."""

    slots: int
    height: int
    width: int
    answer_bytes: int

    @property
    def slot_bytes(self) -> int:
        """Header, picture and answer, each in whole cache lines."""
        return LINE + aligned(self.height * self.width) + aligned(self.answer_bytes)


class Slots:
    """The slots of one lane; each begins with the id of the request that it belongs to."""

    def __init__(self, memory: mmap.mmap, offset: int, shape: SlotShape) -> None:
        size = shape.slots * shape.slot_bytes
        table = np.frombuffer(memory, np.uint8, size, offset).reshape(shape.slots, shape.slot_bytes)
        self._ids = table[:, :8].view(np.uint64)
        self._pixels = table[:, LINE : LINE + shape.height * shape.width]
        self._answers = table[:, LINE + aligned(shape.height * shape.width) :]
        self._shape = shape

    def owner(self, slot: int) -> int:
        """The id of the request that the slot belongs to."""
        return int(self._ids[slot, 0])

    def give(self, slot: int, request: int, pixels: Slice) -> None:
        """Make the slot this request's and put its picture in; raises `ValueError` on one of another shape."""
        self._ids[slot, 0] = request
        self.pixels(slot)[:] = pixels

    def pixels(self, slot: int) -> Slice:
        """The slot's picture (height, width), where it lies."""
        return cast("Slice", self._pixels[slot].reshape(self._shape.height, self._shape.width))

    def answer(self, slot: int) -> Bytes:
        """The slot's room for an answer, where it lies."""
        return cast("Bytes", self._answers[slot])


def aligned(size: int) -> int:
    """`size` rounded up to whole cache lines."""
    return -(-size // LINE) * LINE


def new_memory(size: int) -> int:
    """A file in memory with no name, so that it is gone with its last reader, however that ends; its descriptor.

    It counts as this service's memory and not against `/dev/shm`, of which a container has 64 MB.
    """
    descriptor = os.memfd_create("neurotriage", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, max(size, mmap.PAGESIZE))
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, GROWN)
    return descriptor


def map_memory(descriptor: int) -> mmap.mmap:
    """The memory behind a descriptor, which is closed; it stays mapped for as long as an array looks at it."""
    try:
        return mmap.mmap(descriptor, 0)
    finally:
        os.close(descriptor)


def slots_of(memory: mmap.mmap, shapes: list[SlotShape]) -> list[Slots]:
    """The lanes' slots, one lane after another."""
    offsets = np.cumsum([0, *(shape.slots * shape.slot_bytes for shape in shapes)]).tolist()
    return [Slots(memory, offset, shape) for offset, shape in zip(offsets, shapes, strict=False)]


def size_of(shapes: list[SlotShape]) -> int:
    """Bytes of all lanes' slots; only those ever used take memory."""
    return sum(shape.slots * shape.slot_bytes for shape in shapes)
