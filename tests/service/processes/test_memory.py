import os

import numpy as np
import pytest

from service.processes.memory import Slots, SlotShape, map_memory, new_memory, size_of, slots_of

SHAPES = [SlotShape(3, 5, 7, 0), SlotShape(2, 4, 4, 100)]


def shared() -> tuple[list[Slots], list[Slots]]:
    """Both ends' view of the same slots."""
    descriptor = new_memory(size_of(SHAPES))
    other = os.dup(descriptor)
    return slots_of(map_memory(descriptor), SHAPES), slots_of(map_memory(other), SHAPES)


def test_what_one_end_gives_the_other_sees_in_that_slot_alone() -> None:
    ours, theirs = shared()
    pictures = {(lane, slot): np.full((shape.height, shape.width), 10 * lane + slot + 1, np.uint8)
                for lane, shape in enumerate(SHAPES) for slot in range(shape.slots)}  # fmt: skip
    for (lane, slot), picture in pictures.items():
        ours[lane].give(slot, 100 * lane + slot, picture)
    theirs[1].answer(0)[:] = 255
    for (lane, slot), picture in pictures.items():
        assert theirs[lane].owner(slot) == 100 * lane + slot
        assert np.array_equal(theirs[lane].pixels(slot), picture)
    assert (ours[1].answer(0) == 255).all()
    assert not ours[1].answer(1).any()


def test_a_picture_of_another_shape_is_refused() -> None:
    ours, _ = shared()
    with pytest.raises(ValueError, match="broadcast"):
        ours[0].give(0, 1, np.zeros((6, 7), np.uint8))


def test_nobody_can_shorten_what_others_have_mapped() -> None:
    descriptor = new_memory(1 << 20)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    os.close(descriptor)
