"""How often a client may ask: a bucket of tokens each, filled evenly, empty after a burst."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from service.errors import RateLimited

MOST_CLIENTS = 10_000
"""Buckets kept; the one used longest ago is forgotten first, and has most likely filled up again by then."""


class Rates:
    """A picture costs a token. A batch may draw more than there are, and its client then waits the longer."""

    def __init__(self, per_minute: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_minute / 60
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admit(self, client: str) -> None:
        """Draw a token; raises `RateLimited` where there is none, which says when there will be one."""
        tokens = self._tokens(client)
        if tokens < 1:
            seconds = math.ceil((1 - tokens) / self._per_second)
            raise RateLimited(f"{self._per_second * 60:g} pictures a minute are taken", retry_after_seconds=seconds)
        self._keep(client, tokens - 1)

    def charge(self, client: str, tokens: int) -> None:
        """Draw what a batch costs beyond its first picture, into debt if need be."""
        self._keep(client, self._tokens(client) - tokens)

    def _tokens(self, client: str) -> float:
        tokens, at = self._buckets.get(client, (float(self._burst), 0.0))
        return min(self._burst, tokens + (self._clock() - at) * self._per_second)

    def _keep(self, client: str, tokens: float) -> None:
        self._buckets[client] = tokens, self._clock()
        self._buckets.move_to_end(client)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
