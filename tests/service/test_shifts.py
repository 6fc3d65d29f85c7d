import asyncio

from service.shifts import Shift, Watch
from tests.loop import run


def begins(shift: Shift) -> bool:
    with shift.begin_batch() as may_begin:
        return may_begin


def test_a_shift_that_is_called_off_begins_no_other_batch() -> None:
    shift = Shift()
    assert begins(shift)
    shift.call_off()
    assert not begins(shift)


def test_only_a_batch_that_is_too_old_is_called_off() -> None:
    shift = Shift()
    assert 9 < shift.call_off(10) <= 10
    assert begins(shift)


def test_a_watch_counts_from_the_present_batch_not_from_the_first() -> None:
    async def work() -> None:
        shift, given_up = Shift(), asyncio.Event()
        watch = Watch(shift, 0.2, given_up.set)
        for _ in range(8):
            await asyncio.sleep(0.05)
            assert begins(shift)
        assert not given_up.is_set()
        await given_up.wait()
        assert not begins(shift)
        watch.end()

    run(work)


def test_a_watch_that_has_ended_gives_nothing_up() -> None:
    async def work() -> None:
        given_up = asyncio.Event()
        Watch(Shift(), 0.01, given_up.set).end()
        await asyncio.sleep(0.05)
        assert not given_up.is_set()

    run(work)
