"""When memory runs out: a batch is tried once more in halves."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from service.errors import NotReady
from service.session import OutOfMemory

Payload = TypeVar("Payload")
Result = TypeVar("Result")


def halved_at_need(
    run: Callable[[Sequence[Payload]], Sequence[Result]],
) -> Callable[[Sequence[Payload]], Sequence[Result]]:
    """`run`, but that a batch too large for the memory is run in two halves, once.

    Raises `NotReady` where that does not help either: the session is to be opened anew, for memory that an arena has
    taken it never gives back.
    """

    def run_halved(payloads: Sequence[Payload]) -> Sequence[Result]:
        middle = (len(payloads) + 1) // 2
        try:
            try:
                return run(payloads)
            except OutOfMemory:
                if len(payloads) == 1:
                    raise
            return [*run(payloads[:middle]), *run(payloads[middle:])]
        except OutOfMemory as error:
            raise NotReady("it ran out of memory and is being opened again") from error

    return run_halved
