from pathlib import Path

import pytest

from service.app import own_parts
from service.errors import ImageTooLarge, RateLimited, ServiceError
from service.processes.catalogue import bundle_of
from service.processes.wire import error_from, fault_of, note_from, note_of
from service.settings import Settings
from tests.bundles import write_bundle
from tests.explainable import write_explainable_bundle
from tests.service.test_errors import tree


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_every_error_crosses_as_itself(kind: type[ServiceError]) -> None:
    crossed = error_from(fault_of(kind("why", limit=3)))
    assert (type(crossed), str(crossed), crossed.extensions) == (kind, "why", {"limit": 3})


def test_what_an_error_says_of_itself_crosses_too() -> None:
    crossed = error_from(fault_of(RateLimited("slow down", retry_after_seconds=7)))
    assert crossed.headers == {"Retry-After": "7"}
    assert isinstance(error_from(fault_of(ImageTooLarge())), ImageTooLarge)


def test_an_error_of_a_kind_unknown_here_is_a_fault_of_ours() -> None:
    assert type(error_from({"kind": "Sabotage", "detail": "", "extensions": {}})) is ServiceError


def test_a_front_knows_of_a_bundle_what_the_engine_shows(tmp_path: Path) -> None:
    write_explainable_bundle(tmp_path)
    (write_bundle(tmp_path, "broken") / "model.onnx").write_bytes(b"cut off")
    repository = own_parts(Settings(models=tmp_path, provider="cpu")).catalogue.repository
    repository.load()
    for bundle in repository.bundles:
        told = bundle_of(note_from(note_of(bundle).told()))
        assert (told.name, told.version, told.reason, told.card) == (
            bundle.name,
            bundle.version,
            bundle.reason,
            bundle.card,
        )
        assert told.state == bundle.state
        assert list(told.explain_sessions) == list(bundle.explain_sessions)
        if told.session and bundle.session:
            assert (told.session.plan, told.session.provider) == (bundle.session.plan, bundle.session.provider)
