"""What a lane does with a batch: pictures are decoded where they have not been, and the network answers them all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from prometheus_client import Histogram

from service.contract.card import Card
from service.contract.preprocess import Slice
from service.contract.probabilities import Probabilities, probabilities
from service.errors import ServiceError
from service.images import decode, to_slice
from service.memory import halved_at_need
from service.session import Session
from service.settings import Settings

STAGES = ("decoder_queue", "decode", "preprocess", "queue", "infer", "postprocess")
"""What a prediction's time goes into, as `/metrics` names it."""

Picture = bytes | Slice
"""A picture's bytes, or the network's input made from them elsewhere."""


@dataclass(frozen=True)
class Outcome:
    """What became of one picture, how long its decoding took in the lane, and its batch's run (seconds, slices)."""

    found: Probabilities | Exception
    decode_seconds: float
    run_seconds: float
    run_slices: int


class Inference:
    """Pictures to probabilities, in a lane's thread.

    `quiet` says whether no other lane works and nobody waits; `get_on` hears of each step: a picture's decoding,
    or the run.
    """

    def __init__(
        self,
        card: Card,
        session: Session,
        settings: Settings,
        stages: Mapping[str, Histogram],
        quiet: Callable[[], bool],
        *,
        get_on: Callable[[], None] = lambda: None,
    ) -> None:
        self._card = card
        self._session = session
        self._settings = settings
        self._stages = stages
        self._quiet = quiet
        self._get_on = get_on
        self._infer = halved_at_need(self._run)

    def __call__(self, pictures: Sequence[Picture]) -> list[Outcome]:
        """An outcome a picture, in order: one that cannot be read gets its own error and harms no other.

        Raises what the session raises, which concerns them all.
        """
        prepared = [self._prepared(picture) for picture in pictures]
        self._get_on()
        started = perf_counter()
        slices = [each for each, _ in prepared if not isinstance(each, Exception)]
        answers = iter(self._infer(slices) if slices else ())
        seconds = perf_counter() - started
        return [
            Outcome(each if isinstance(each, Exception) else next(answers), decoding, seconds, len(slices))
            for each, decoding in prepared
        ]

    def prepare(self, content: bytes) -> Slice:
        """The network's input from a picture's bytes; raises the images' errors and `BlankImage`."""
        with self._stages["decode"].time():
            picture = decode(content, self._settings.max_pixels, self._settings.min_side)
        with self._stages["preprocess"].time():
            return to_slice(picture, self._card.input)

    def _prepared(self, picture: Picture) -> tuple[Slice | Exception, float]:
        if not isinstance(picture, bytes):
            return picture, 0.0
        self._get_on()
        started = perf_counter()
        try:
            return self.prepare(picture), perf_counter() - started
        except ServiceError as error:
            return without_traceback(error), perf_counter() - started
        except Exception as error:  # noqa: BLE001 - whatever one picture raises belongs to its own caller
            return error, perf_counter() - started

    def _run(self, slices: Sequence[Slice]) -> list[Probabilities]:
        run = self._session.run_alone if len(slices) == 1 and self._quiet() else self._session.run
        with self._stages["infer"].time():
            logits = run(slices)
        with self._stages["postprocess"].time():
            return list(probabilities(logits, self._card.temperature))


def without_traceback(error: Exception) -> Exception:
    """The error, and what it came of, without the frames they passed: those hold the pictures, and the error itself."""
    each: BaseException | None = error
    while each:
        each.__traceback__ = None
        each = each.__context__
    return error
