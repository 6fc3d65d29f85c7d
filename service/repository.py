"""Find, verify and open the models below one folder: `<name>/<version>/`, the layout of Triton's repository.

A bundle serves only after its checksums, its card and its golden answers have held on the chosen execution
provider. One that fails is listed with its reason and harms no other.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import structlog

from service.contract.card import GOLDEN_FILE, MODEL_FILE, Card, read_card
from service.contract.probabilities import probabilities
from service.errors import UnknownModel
from service.explain_session import ExplainSession
from service.session import ProviderUnavailable, Session, weight_files

GOLDEN_TOLERANCE = {"fp32": 2e-3, "fp16": 2e-3, "int8": 2e-2}
"""Largest difference in probability between a golden answer and this machine's, by precision.

Providers round differently, and where a value lies between two integers that is a whole step: integers computed in
float, as GPUs do, moved an answer by 0.004. Saturating products, which this must catch, moved one by 0.24.
"""

OpenSession = Callable[[Path, Card], Session]
OpenExplainSession = Callable[[Path, Card, str], ExplainSession]
"""Opens a layer's graph; the text is the layer's name."""
State = Literal["ready", "failed", "unloaded"]
AnySession = TypeVar("AnySession", bound=Session)


class BrokenBundle(Exception):
    """A bundle that must not serve; the text is its reason, free of paths."""


@dataclass(frozen=True)
class Bundle:
    """One version of one model: open with card, session and a session a layer it explains, or broken with a reason."""

    name: str
    version: int
    card: Card | None = None
    session: Session | None = None
    explain_sessions: Mapping[str, ExplainSession] = field(default_factory=dict)
    reason: str | None = None
    unloaded: bool = False

    @property
    def state(self) -> State:
        """`ready`, `unloaded` (as it was told to) or `failed`."""
        if self.session:
            return "ready"
        return "unloaded" if self.unloaded else "failed"


def unloaded_bundle(name: str, version: int, card: Card | None = None) -> Bundle:
    """A bundle that serves no more, as it was told to."""
    return Bundle(name, version, card, reason="unloaded", unloaded=True)


class Repository:
    """All bundles below `root`, opened by `open_session`; `load` may take seconds and is called off the event loop.

    Without `open_explain_session` every bundle predicts and none explains. `before` is what the repository of a process
    listed whose place this one takes.
    """

    def __init__(
        self,
        root: Path,
        open_session: OpenSession,
        open_explain_session: OpenExplainSession | None = None,
        *,
        before: Mapping[tuple[str, int], State] | None = None,
    ) -> None:
        self._root = root
        self._before = before
        self._open_session = open_session
        self._open_explain_session = open_explain_session
        self._bundles: dict[tuple[str, int], Bundle] = {}

    def load(self) -> None:
        """Open every bundle, or those listed `before` and not unloaded; what has come since waits to be loaded.

        Raises `ProviderUnavailable` where a provider that was insisted on cannot be had.
        """
        found = sorted(key for key in self._scan() if self._before is None or key in self._before)
        unloaded = {key for key, state in (self._before or {}).items() if state == "unloaded"}
        self._bundles = {key: unloaded_bundle(*key) if key in unloaded else self._open(*key) for key in found}

    def open(self, name: str, version: int | None = None) -> Bundle:
        """A bundle as it lies on the disk now, of the highest version there where none is named; it is not kept yet.

        Raises `UnknownModel` where there is no such folder.
        """
        found = [number for folder, number in self._scan() if folder == name and version in (None, number)]
        if not found:
            raise UnknownModel
        return self._open(name, max(found))

    def keep(self, bundle: Bundle) -> None:
        """List a bundle, in place of the one of that name and version."""
        self._bundles = dict(sorted((self._bundles | {(bundle.name, bundle.version): bundle}).items()))

    def renew(self, card: Card, *sessions: Session) -> None:
        """Open the sessions of a bundle anew and prove them again.

        Where the disk no longer holds what they came from, the old ones are all there is and stay as they are; raises
        `BrokenBundle` where there are none, and whatever keeps them from opening.
        """
        folder = self._root / card.name / str(card.version)
        try:
            unchanged = verified_card(folder) == card
        except BrokenBundle:
            unchanged = False
        if unchanged:
            for session in sessions:
                reopened(session, folder, card)
        elif all(session.is_open for session in sessions):
            structlog.get_logger().error("bundle-changed", name=card.name, version=card.version)
        else:
            raise BrokenBundle("its files are gone or have changed since it was loaded")

    @property
    def bundles(self) -> list[Bundle]:
        """Every bundle found, by name and version."""
        return list(self._bundles.values())

    @property
    def names(self) -> list[str]:
        """Names of all models found."""
        return sorted({name for name, _ in self._bundles})

    def find(self, name: str, version: int | None = None) -> Bundle:
        """The bundle named, of the highest version that serves where none is asked for.

        Raises `UnknownModel` where there is no such bundle; a broken one is returned as it is.
        """
        versions = [bundle for bundle in self.bundles if bundle.name == name and version in (None, bundle.version)]
        if not versions:
            raise UnknownModel
        return max(versions, key=lambda bundle: (bundle.session is not None, bundle.version))

    def _scan(self) -> Iterator[tuple[str, int]]:
        for folder in self._root.glob("*/*"):
            if folder.is_dir() and folder.name.isdecimal() and str(int(folder.name)) == folder.name:
                yield folder.parent.name, int(folder.name)

    def _open(self, name: str, version: int) -> Bundle:
        folder = self._root / name / str(version)
        try:
            card = verified_card(folder)
            session = proven(self._open_session(folder / MODEL_FILE, card), folder, card)
            explain_sessions = self._explain_sessions(folder, card)
        except BrokenBundle as error:
            return Bundle(name, version, reason=str(error))
        except ProviderUnavailable:
            raise
        except ValueError as error:
            return Bundle(name, version, reason=f"cannot serve: {_first_line(error)}")
        except Exception as error:  # noqa: BLE001 - whatever one bundle raises must not stop the others
            return Bundle(name, version, reason=f"cannot be opened: {type(error).__name__}")
        return Bundle(name, version, card, session, explain_sessions)

    def _explain_sessions(self, folder: Path, card: Card) -> Mapping[str, ExplainSession]:
        if card.explain is None or self._open_explain_session is None:
            return {}
        return {
            layer: proven(self._open_explain_session(folder / name, card, layer), folder, card)
            for layer, name in card.explain.layers.items()
        }


def verified_card(folder: Path) -> Card:
    """The card, once every file it lists has the SHA-256 it lists, and graphs take weights from no other.

    Raises `BrokenBundle` otherwise.
    """
    try:
        card = read_card(folder)
    except OSError:
        raise BrokenBundle("card.json is missing or unreadable") from None
    except ValueError as error:
        raise BrokenBundle(f"card.json makes no sense: {_first_line(error)}") from error
    for name, expected in card.files.items():
        if _sha256(folder / name) != expected:
            raise BrokenBundle(f"{name} is missing or differs from its checksum")
    for graph in (folder / name for name in card.files if name.endswith(".onnx")):
        if unlisted := set(weight_files(graph, graph.read_bytes())) - card.files.keys():
            raise BrokenBundle(f"{min(unlisted)} holds weights of {graph.name} and has no checksum")
    return card


def proven(session: AnySession, folder: Path, card: Card) -> AnySession:
    """The session itself, warm and with the golden answers given; raises `BrokenBundle` or `ValueError` otherwise."""
    session.warm_up(card.input.height, card.input.width, len(card.class_names))
    check_golden(folder / GOLDEN_FILE, card, session)
    return session


def reopened(session: Session, folder: Path, card: Card) -> None:
    """Open a session anew and prove it; where that fails it stays closed, for one that is not proven must not serve."""
    try:
        session.open()
        proven(session, folder, card)
    except BaseException:
        session.close()
        raise


def check_golden(path: Path, card: Card, session: Session) -> None:
    """Raise `BrokenBundle` unless the golden slices get their golden answers here."""
    with np.load(path, allow_pickle=False) as golden:
        images, logits = golden["images"], golden["logits"]
    if not len(images):
        raise BrokenBundle("golden.npz holds no slices")
    size = session.plan.max_batch_size
    batched = np.concatenate([session.run(list(images[i : i + size])) for i in range(0, len(images), size)])
    alone = np.concatenate([session.run_alone([image]) for image in images])
    expected = probabilities(logits, card.temperature)
    for answers in (batched, alone):
        difference = float(np.abs(expected - probabilities(answers, card.temperature)).max())
        if difference > GOLDEN_TOLERANCE[card.precision]:
            raise BrokenBundle(f"golden answers differ by {difference:.2g} in probability on {session.provider}")


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return None


def _first_line(error: ValueError) -> str:
    return "; ".join(line.strip() for line in str(error).splitlines()[:3])
