"""How a batch learns whose requests it answers, where that is traced; else nothing is done for it."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Payload = TypeVar("Payload")
Result = TypeVar("Result")
Run = Callable[[Sequence[Payload]], Sequence[Result]]


class Tracing(Protocol):
    """How a batch learns whose requests it answers: `carry` at the queue's one end, `traced` at the other."""

    def carry(self, payload: Payload) -> Payload:
        """The payload with the current request's span, for a `run` that is `traced`."""

    def traced(self, run: Run[Payload, Result], name: str) -> Run[Payload, Result]:
        """`run` within a span of this name."""


class Off:
    """Nothing is traced, and nothing is done for it."""

    def carry(self, payload: Payload) -> Payload:
        """The payload itself."""
        return payload

    def traced(self, run: Run[Payload, Result], name: str) -> Run[Payload, Result]:  # noqa: ARG002 - as the protocol says
        """`run` itself."""
        return run


OFF = Off()
