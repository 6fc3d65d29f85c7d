"""Honest fakes: each does for real what its name says."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from service.errors import NotReady


class Doubler:
    """Answers every number with its double and remembers the batches it saw."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, payloads: Sequence[int]) -> list[int]:
        self.batches.append(list(payloads))
        return [2 * payload for payload in payloads]


class Gate(Doubler):
    """A doubler that answers only once it is opened; `entered` counts the batches inside."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Semaphore(0)
        self._opened = threading.Event()

    def __call__(self, payloads: Sequence[int]) -> list[int]:
        self.entered.release()
        assert self._opened.wait(15)
        return super().__call__(payloads)

    def open(self) -> None:
        """Let all batches through, now and later."""
        self._opened.set()


class FailsOn(Doubler):
    """A doubler that raises on a batch that holds the unlucky number."""

    def __init__(self, unlucky: int) -> None:
        super().__init__()
        self._unlucky = unlucky

    def __call__(self, payloads: Sequence[int]) -> list[int]:
        if self._unlucky in payloads:
            raise RuntimeError("unlucky")
        return super().__call__(payloads)


class Slow(Doubler):
    """A doubler that takes its time, as sessions do."""

    def __call__(self, payloads: Sequence[int]) -> list[int]:
        time.sleep(0.002)
        return super().__call__(payloads)


class HangsOn(Doubler):
    """A doubler that does not return from a batch that holds the unlucky number, until it is let go."""

    def __init__(self, unlucky: int) -> None:
        super().__init__()
        self.inside = 0
        self._unlucky = unlucky
        self._let_go = threading.Event()

    def __call__(self, payloads: Sequence[int]) -> list[int]:
        if self._unlucky in payloads:
            self.inside += 1
            assert self._let_go.wait(15)
        return super().__call__(payloads)

    def let_go(self) -> None:
        """Return from every batch, now and later."""
        self._let_go.set()


class DiesOn(Doubler):
    """A doubler whose thread ends on a batch that holds the unlucky number."""

    def __init__(self, unlucky: int) -> None:
        super().__init__()
        self._unlucky = unlucky

    def __call__(self, payloads: Sequence[int]) -> list[int]:
        if self._unlucky in payloads:
            raise SystemExit
        return super().__call__(payloads)


class SpentOn(Doubler):
    """A doubler that the unlucky number leaves out of breath until it is renewed, which fails a few times first."""

    def __init__(self, unlucky: int, failing_renewals: int = 0) -> None:
        super().__init__()
        self.renewals = 0
        self._unlucky = unlucky
        self._failing = failing_renewals
        self._spent = False

    def __call__(self, payloads: Sequence[int]) -> list[int]:
        if self._spent or self._unlucky in payloads:
            self._spent = True
            raise NotReady("out of breath")
        return super().__call__(payloads)

    def renew(self) -> None:
        """Breathe again."""
        self.renewals += 1
        if self.renewals <= self._failing:
            raise RuntimeError("still out of breath")
        self._spent = False


class Faulty:
    """An ONNX Runtime session in which something happens before each run; all else is the real one's."""

    def __init__(self, session: Any, happens: Callable[[], None]) -> None:
        self._session = session
        self._happens = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, *arguments: Any) -> Any:
        """What happens, then the real run."""
        self._happens()
        return self._session.run(*arguments)
