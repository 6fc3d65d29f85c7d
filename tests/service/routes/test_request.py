import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.requests import Request

from service.errors import ClientGone
from service.routes.request import while_connected
from tests.loop import run


def request_that(receive: Callable[[], Coroutine[Any, Any, dict[str, Any]]]) -> Request:
    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def stay() -> dict[str, Any]:
    await asyncio.sleep(60)
    raise AssertionError


async def leave() -> dict[str, Any]:
    return {"type": "http.disconnect"}


def test_the_work_of_a_client_that_stays_is_returned() -> None:
    async def answer() -> int:
        await asyncio.sleep(0)
        return 7

    async def work() -> None:
        assert await while_connected(request_that(stay), answer()) == 7

    run(work)


def test_the_work_of_a_client_that_leaves_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def endless() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def work() -> None:
        with pytest.raises(ClientGone):
            await while_connected(request_that(leave), endless())
        await asyncio.wait_for(cancelled.wait(), 5)

    run(work)


def test_an_error_of_the_work_is_the_callers() -> None:
    async def fail() -> None:
        raise ValueError("mine")

    async def work() -> None:
        with pytest.raises(ValueError, match="mine"):
            await while_connected(request_that(stay), fail())

    run(work)
