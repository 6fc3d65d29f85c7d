"""What fronts and engine tell each other, as plain JSON: lanes, bundles, errors."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from service.contract.card import Card
from service.errors import ServiceError
from service.processes.memory import SlotShape
from service.processes.post import Message
from service.repository import Bundle
from service.session import Plan

Kind = Literal["predict", "explain"]


@dataclass(frozen=True)
class Lane:
    """One of the engine's batchers, the slots before it, and the board's row that its pictures are counted in."""

    kind: Kind
    name: str
    version: int
    shape: SlotShape
    row: int

    def told(self) -> Message:
        """The lane as JSON."""
        return asdict(self)


def lane_of(told: Message) -> Lane:
    """The lane that was told."""
    return Lane(**{**told, "shape": SlotShape(**told["shape"])})


@dataclass(frozen=True)
class BundleNote:
    """What a front knows of a bundle: all that `/models` shows, and nothing that runs."""

    name: str
    version: int
    reason: str | None
    unloaded: bool = False
    card: Card | None = None
    provider: str | None = None
    plan: Plan | None = None
    explain_plan: Plan | None = None

    def told(self) -> Message:
        """The note as JSON."""
        return {
            **{key: getattr(self, key) for key in ("name", "version", "reason", "unloaded", "provider")},
            "card": self.card.model_dump(mode="json") if self.card else None,
            "plan": asdict(self.plan) if self.plan else None,
            "explain_plan": asdict(self.explain_plan) if self.explain_plan else None,
        }


def note_of(bundle: Bundle) -> BundleNote:
    """The note that the engine sends of a bundle."""
    session = bundle.session
    explain = next(iter(bundle.explain_sessions.values()), None)
    return BundleNote(
        name=bundle.name,
        version=bundle.version,
        reason=bundle.reason,
        unloaded=bundle.unloaded,
        card=bundle.card,
        provider=session.provider if session else None,
        plan=session.plan if session else None,
        explain_plan=explain.plan if explain else None,
    )


def note_from(told: Message) -> BundleNote:
    """The note that was told."""
    card = Card.model_validate(told["card"]) if told["card"] else None
    plans = {key: _plan(told[key]) for key in ("plan", "explain_plan")}
    return BundleNote(**{**told, **plans, "card": card})


def fault_of(error: ServiceError) -> Message:
    """The error as JSON."""
    return {"kind": type(error).__name__, "detail": str(error), "extensions": error.extensions}


def error_from(told: Message) -> ServiceError:
    """The error that was told, of its own class; one that this process does not know is a fault of ours."""
    kinds = {kind.__name__: kind for kind in _tree(ServiceError)}
    kind = kinds.get(told["kind"], ServiceError)
    return kind(told["detail"], **told["extensions"])


def _tree(kind: type[ServiceError]) -> list[type[ServiceError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _tree(child))]


def _plan(told: dict[str, Any] | None) -> Plan | None:
    return Plan(**{**told, "buckets": tuple(told["buckets"])}) if told else None
