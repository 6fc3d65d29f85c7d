import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest

from service.errors import NoRoom, NotReady, RateLimited, SlowBody
from service.intake import Intake, Visit
from tests.loop import run


async def body(*sizes: int, pause: float = 0.0) -> AsyncIterator[bytes]:
    for size in sizes:
        await asyncio.sleep(pause)
        yield bytes(size)


async def received(visit: Visit, chunks: AsyncIterator[bytes], declared: int = 0) -> int:
    return sum([len(chunk) async for chunk in visit.receive(chunks, declared)])


def test_bytes_count_until_their_visit_ends() -> None:
    async def work() -> None:
        intake = Intake(100, idle_seconds=5, body_seconds=5)
        with intake.visit() as first:
            assert await received(first, body(30, 30)) == 60
            with intake.visit() as second, pytest.raises(NoRoom):
                await received(second, body(30, 30))
            assert (intake.held_bytes, intake.visits) == (60, 1)
        assert (intake.held_bytes, intake.visits) == (0, 0)
        with intake.visit() as third:
            assert await received(third, body(100)) == 100

    run(work)


def test_an_announced_body_without_room_is_refused_before_it_is_read() -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError
        yield b""

    async def work() -> None:
        intake = Intake(100, idle_seconds=5, body_seconds=5)
        with intake.visit() as visit, pytest.raises(NoRoom):
            await received(visit, never(), declared=101)

    run(work)


def test_announcing_much_and_sending_nothing_takes_no_room_from_others() -> None:
    async def work() -> None:
        intake = Intake(100, idle_seconds=5, body_seconds=5)
        with intake.visit() as staller, intake.visit() as honest:
            stalled = asyncio.create_task(received(staller, body(1, pause=4), declared=100))
            await asyncio.sleep(0)
            assert await received(honest, body(90), declared=90) == 90
            stalled.cancel()

    run(work)


def test_a_silent_sender_and_a_trickle_are_both_cut_off() -> None:
    async def work() -> None:
        for intake, pause in ((Intake(100, 0.05, 5), 2.0), (Intake(100, 5, 0.2), 0.05)):
            with intake.visit() as visit, pytest.raises(SlowBody):
                await received(visit, body(*[1] * 50, pause=pause))
            assert intake.held_bytes == 0

    run(work)


def test_one_client_cannot_take_the_room_of_all() -> None:
    async def work() -> None:
        intake = Intake(100, idle_seconds=5, body_seconds=5, max_bytes_per_client=60)
        with intake.visit("a") as first, intake.visit("a") as second, intake.visit("b") as other:
            assert await received(first, body(30, 20)) == 50
            with pytest.raises(RateLimited):
                await received(second, body(11))
            with pytest.raises(RateLimited):
                await received(second, body(1), declared=11)
            assert await received(other, body(50)) == 50
        assert (intake.held_bytes, dict(intake.held_by)) == (0, {})
        with intake.visit("a") as later:
            assert await received(later, body(60)) == 60

    run(work)


def test_a_drip_is_cut_off_by_its_rate_and_an_even_flow_is_not() -> None:
    async def work() -> None:
        intake = Intake(10**6, idle_seconds=0.5, body_seconds=60, least_rate=10_000)
        with intake.visit() as drip, pytest.raises(SlowBody, match="10000 bytes a second"):
            await received(drip, body(*[1] * 1000, pause=0.05))
        assert 1 <= drip.held_bytes < 20
        with intake.visit() as flow:
            assert await received(flow, body(*[20_000] * 20, pause=0.05)) == 400_000

    run(work)


def test_a_visit_that_fails_gives_its_bytes_back() -> None:
    async def work() -> None:
        intake = Intake(100, idle_seconds=5, body_seconds=5)

        async def broken() -> AsyncIterator[bytes]:
            yield bytes(90)
            raise ConnectionError

        with pytest.raises(ConnectionError), intake.visit() as visit:
            await received(visit, broken())
        assert (intake.held_bytes, intake.visits) == (0, 0)

    run(work)


def test_while_draining_nothing_new_is_let_in_and_what_is_in_goes_on() -> None:
    async def work() -> None:
        intake = Intake(100, idle_seconds=5, body_seconds=5)
        with intake.visit() as inside:
            intake.draining = True
            with pytest.raises(NotReady), intake.visit():
                pass
            assert await received(inside, body(50)) == 50
        assert intake.fault

    run(work)


def test_all_have_left_when_those_who_were_inside_have_whoever_came_since() -> None:
    async def work() -> None:
        intake = Intake(100, idle_seconds=5, body_seconds=5)
        await intake.all_left()
        with ExitStack() as later:
            with intake.visit():
                waiting = asyncio.create_task(intake.all_left())
                await asyncio.sleep(0)
                later.enter_context(intake.visit())
                await asyncio.sleep(0.12)
                assert not waiting.done()
            await waiting
            assert intake.visits == 1

    run(work)
