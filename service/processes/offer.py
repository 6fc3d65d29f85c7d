"""What the engine serves at one time: the greeting of a link, which keeps to it until it ends."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.catalogue import Catalogue, Key
from service.contract.card import Card
from service.explainer import Explainer
from service.predictor import Predictor
from service.processes.memory import SlotShape
from service.processes.post import Message
from service.processes.wire import Kind, Lane, note_of
from service.repository import Bundle

SLOTS_A_PERMIT = 2
"""A slot stays taken until its answer is back, also where its caller has left and the permit is another's."""

Rows = dict[tuple[Kind, str, int], int]
"""The board's rows that lanes count in; a lane keeps its row whatever else comes and goes."""


@dataclass(frozen=True, eq=False)
class Offer:
    """Predictors and explainers with their lanes; a version that is loaded anew is another offer's."""

    lanes: list[Lane]
    bundles: list[Bundle]
    default: str | None
    predictors: Mapping[Key, Predictor]
    explainers: Mapping[Key, Explainer]

    def hello(self, generation: int) -> Message:
        """The greeting of a link."""
        return {
            "generation": generation,
            "lanes": [lane.told() for lane in self.lanes],
            "bundles": [note_of(bundle).told() for bundle in self.bundles],
            "default": self.default,
            "states": self.states(),
        }

    def states(self) -> list[tuple[bool, int]]:
        """Whether each lane is at work, and how many entries wait before it."""
        ones = [self.behind(lane) for lane in self.lanes]
        return [(bool(one.ready), int(one.batcher.depth)) for one in ones]

    def behind(self, lane: Lane) -> Predictor | Explainer:
        """What answers for a lane."""
        key = lane.name, lane.version
        return self.predictors[key] if lane.kind == "predict" else self.explainers[key]

    def of(self, catalogue: Catalogue) -> bool:
        """Whether it is still what the catalogue serves."""
        return self.predictors == catalogue.predictors


def offer_of(catalogue: Catalogue, rows: Rows) -> Offer:
    """What a catalogue serves now; lanes without a row are given one."""
    predictors, explainers, bundles = catalogue.predictors, catalogue.explainers, catalogue.repository.bundles
    lanes = [lane_for("predict", one.card, one.permits, 0, rows) for one in predictors.values()]
    answers = {(each.name, each.version): answer_bytes(each) for each in bundles}
    lanes += [lane_for("explain", one.card, one.permits, answers[key], rows) for key, one in explainers.items()]
    return Offer(lanes, bundles, catalogue.default, predictors, explainers)


def lane_for(kind: Kind, card: Card, permits: int, answer: int, rows: Rows) -> Lane:
    """A lane with slots for all the pictures that its permits let in."""
    shape = SlotShape(SLOTS_A_PERMIT * permits, card.input.height, card.input.width, answer)
    return Lane(kind, card.name, card.version, shape, rows.setdefault((kind, card.name, card.version), len(rows)))


def answer_bytes(bundle: Bundle) -> int:
    """Bytes of a bundle's largest answer to a question about a layer."""
    return max((session.answer_bytes for session in bundle.explain_sessions.values()), default=0)
