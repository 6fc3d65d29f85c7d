import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from service.contract.card import Card
from service.errors import UnknownModel
from service.explain_session import ExplainSession
from service.repository import BrokenBundle, Repository
from service.session import CPU, Logits, ProviderUnavailable, Session, Slice, make_plan
from tests.bundles import checksums, write_bundle, write_card, write_model
from tests.explainable import COARSE, FILES, FINE, OFFER, draw_weights, write_explainable_bundle, write_graph


def opened(root: Path) -> Repository:
    repository = Repository(
        root,
        lambda path, card: Session(path, make_plan(CPU, 1), card.outputs.logits),
        lambda path, card, layer: ExplainSession(path, make_plan(CPU, 1), layer, card.outputs.logits),
    )
    repository.load()
    return repository


def reason(root: Path) -> str:
    (bundle,) = opened(root).bundles
    assert bundle.state == "failed"
    assert str(root) not in str(bundle.reason)
    return str(bundle.reason)


def test_it_serves_the_highest_version_and_any_version_by_number(tmp_path: Path) -> None:
    for version in (1, 2, 10):
        write_bundle(tmp_path, version=version)
    repository = opened(tmp_path)
    assert repository.find("tiny").version == 10
    assert repository.find("tiny", 2).version == 2
    assert [bundle.version for bundle in repository.bundles] == [1, 2, 10]


def test_an_unknown_name_or_version_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    repository = opened(tmp_path)
    for name, version in [("huge", None), ("tiny", 7), ("../tiny", None)]:
        with pytest.raises(UnknownModel):
            repository.find(name, version)


def test_folders_that_are_no_versions_are_passed_over(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    for name in ("tiny/draft", "tiny/01", "tiny/-1", ".cache/x"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "tiny" / "7").write_text("a file")
    assert [(bundle.name, bundle.version) for bundle in opened(tmp_path).bundles] == [("tiny", 1)]


def test_a_broken_bundle_does_not_stop_the_others(tmp_path: Path) -> None:
    write_bundle(tmp_path, "good")
    write_bundle(tmp_path, "bad")
    (tmp_path / "bad" / "1" / "model.onnx").write_bytes(b"not a model")
    repository = opened(tmp_path)
    assert repository.find("good").state == "ready"
    assert repository.find("bad").state == "failed"


def test_a_broken_new_version_leaves_the_old_one_serving(tmp_path: Path) -> None:
    write_bundle(tmp_path, version=1)
    (write_bundle(tmp_path, version=2) / "golden.npz").unlink()
    repository = opened(tmp_path)
    assert repository.find("tiny").version == 1
    assert repository.find("tiny", 2).state == "failed"


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz"])
def test_a_file_that_differs_from_its_checksum_is_named(tmp_path: Path, name: str) -> None:
    path = write_bundle(tmp_path) / name
    path.write_bytes(path.read_bytes()[:-1])
    assert reason(tmp_path) == f"{name} is missing or differs from its checksum"


def test_weights_beside_a_graph_need_a_checksum_of_their_own(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    inline = onnx.load(folder / "model.onnx")
    onnx.save(inline, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    write_card(folder, files={name: checksums(folder)[name] for name in ("model.onnx", "golden.npz")})
    assert "weights.bin holds weights of model.onnx and has no checksum" in reason(tmp_path)
    write_card(folder, files=checksums(folder))
    assert opened(tmp_path).bundles[0].state == "ready"


def test_a_missing_card_is_named(tmp_path: Path) -> None:
    (write_bundle(tmp_path) / "card.json").unlink()
    assert reason(tmp_path) == "card.json is missing or unreadable"


def test_a_card_without_sense_is_named_with_its_fault(tmp_path: Path) -> None:
    path = write_bundle(tmp_path) / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"temperature": -1}))
    assert "temperature" in reason(tmp_path)


def test_a_graph_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    (folder / "model.onnx").write_bytes(b"not a model")
    write_card(folder)
    assert reason(tmp_path).startswith("cannot be opened")


def test_a_graph_that_is_not_the_cards_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    write_model(folder / "model.onnx", classes=5)
    write_card(folder)
    assert reason(tmp_path) == "cannot serve: the graph answers (1, 5), the card says (1, 4)"


def test_other_weights_than_the_golden_answers_are_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    write_model(folder / "model.onnx", seed=1)
    write_card(folder)
    assert reason(tmp_path).startswith("golden answers differ by")


@pytest.mark.parametrize(
    ("precision", "shift", "served"), [("fp32", 0.04, False), ("int8", 0.04, True), ("int8", 0.4, False)]
)
def test_integers_may_round_a_step_apart_and_no_further(
    tmp_path: Path, precision: str, shift: float, *, served: bool
) -> None:
    folder = write_bundle(tmp_path)
    with np.load(folder / "golden.npz") as golden:
        images, logits = golden["images"], golden["logits"]
    logits[:, 0] += np.float32(shift)
    np.savez(folder / "golden.npz", images=images, logits=logits)
    write_card(folder, precision=precision)
    (bundle,) = opened(tmp_path).bundles
    assert (bundle.state == "ready") == served, bundle.reason


def test_an_empty_golden_file_proves_nothing(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    np.savez(folder / "golden.npz", images=np.zeros((0, 32, 32), np.uint8), logits=np.zeros((0, 4), np.float32))
    write_card(folder)
    assert reason(tmp_path) == "golden.npz holds no slices"


def test_pickled_golden_answers_are_not_unpickled(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    np.savez(folder / "golden.npz", images=np.array([{"a": 1}], dtype=object), logits=np.zeros((1, 4)))
    write_card(folder)
    assert reason(tmp_path).startswith("cannot serve: Object arrays")


def test_a_bundle_with_gradients_is_opened_with_all_its_graphs(tmp_path: Path) -> None:
    write_explainable_bundle(tmp_path)
    (bundle,) = opened(tmp_path).bundles
    assert (bundle.state, bundle.reason) == ("ready", None)
    assert [(layer, each.layer) for layer, each in bundle.explain_sessions.items()] == [(COARSE,) * 2, (FINE,) * 2]


@pytest.mark.parametrize("layer", FILES)
def test_gradients_of_other_weights_than_the_golden_answers_are_refused(tmp_path: Path, layer: str) -> None:
    folder = write_explainable_bundle(tmp_path)
    write_graph(folder / FILES[layer], draw_weights(2), layer)
    write_card(folder, explain=OFFER)
    assert reason(tmp_path).startswith("golden answers differ by")


@pytest.mark.parametrize("file", FILES.values())
def test_a_gradient_graph_that_differs_from_its_checksum_is_named(tmp_path: Path, file: str) -> None:
    path = write_explainable_bundle(tmp_path) / file
    path.write_bytes(path.read_bytes()[:-1])
    assert reason(tmp_path) == f"{file} is missing or differs from its checksum"


def test_a_graph_of_another_layer_than_the_cards_is_refused(tmp_path: Path) -> None:
    folder = write_explainable_bundle(tmp_path)
    write_card(folder, explain=OFFER | {"layers": {COARSE: FILES[FINE], FINE: FILES[COARSE]}})
    assert "the graph lacks activations:" in reason(tmp_path)


def test_a_provider_that_was_insisted_on_and_is_missing_stops_the_start(tmp_path: Path) -> None:
    def refuse(_: Path, __: Card) -> Session:
        raise ProviderUnavailable("no GPU")

    write_bundle(tmp_path)
    with pytest.raises(ProviderUnavailable):
        Repository(tmp_path, refuse).load()


def test_a_missing_folder_is_an_empty_repository(tmp_path: Path) -> None:
    assert opened(tmp_path / "none").bundles == []


def test_a_bundles_checksums_cover_all_its_files(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    assert set(checksums(folder)) == {"model.onnx", "golden.npz"}


class Drifting(Session):
    """Answers as it should when it is opened first, and otherwise from the second time on, as another driver may."""

    times = 0

    def open(self) -> None:
        super().open()
        self.times += 1

    def run(self, slices: Sequence[Slice]) -> Logits:
        logits = super().run(slices)
        logits[:, 3] += self.times - 1
        return logits


def renewable(root: Path, kind: type[Session] = Session) -> tuple[Repository, Card, Session]:
    """A repository of one bundle, its card and its session."""
    repository = Repository(root, lambda path, card: kind(path, make_plan(CPU, 1), card.outputs.logits))
    repository.load()
    (bundle,) = repository.bundles
    assert bundle.card
    assert bundle.session
    return repository, bundle.card, bundle.session


def test_answers_that_differ_on_this_provider_are_refused(tmp_path: Path) -> None:
    class Drifted(Drifting):
        times = 1

    write_bundle(tmp_path)
    repository = Repository(tmp_path, lambda path, card: Drifted(path, make_plan(CPU, 1), card.outputs.logits))
    repository.load()
    (bundle,) = repository.bundles
    assert (bundle.state, "in probability on CPUExecutionProvider" in str(bundle.reason)) == ("failed", True)


def test_renewed_a_session_is_another_one_that_answers_the_same(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    repository, card, session = renewable(tmp_path)
    before, slices = session._session, [np.full((32, 32), 7, np.uint8)]
    answer = session.run(slices)
    repository.renew(card, session)
    assert session._session is not before
    assert np.array_equal(session.run(slices), answer)


def test_renewed_and_not_proven_a_session_stays_closed(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    repository, card, session = renewable(tmp_path, Drifting)
    with pytest.raises(BrokenBundle, match="golden answers differ"):
        repository.renew(card, session)
    assert not session.is_open


def test_from_other_files_than_it_came_from_no_session_is_renewed(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    repository, card, session = renewable(tmp_path)
    before = session._session
    write_model(folder / "model.onnx", seed=1)
    repository.renew(card, session)
    assert session._session is before
    session.close()
    with pytest.raises(BrokenBundle, match="gone or have changed"):
        repository.renew(card, session)


def test_a_bundle_is_opened_as_it_lies_there_now_and_listed_only_when_kept(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    repository = opened(tmp_path)
    write_bundle(tmp_path, version=2)
    bundle = repository.open("tiny")
    assert (bundle.version, [each.version for each in repository.bundles]) == (2, [1])
    repository.keep(bundle)
    assert repository.find("tiny") is bundle
    for name, version in (("tiny", 3), ("none", None), ("..", 1)):
        with pytest.raises(UnknownModel):
            repository.open(name, version)
