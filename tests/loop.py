"""An event loop for tests that are not coroutines themselves."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine function to its end, in a loop of its own, for at most 20 seconds."""
    asyncio.run(asyncio.wait_for(work(), 20))
