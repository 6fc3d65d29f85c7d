"""What goes wrong below a running service: who is told, who is not harmed, what `/readyz` says, how it recovers."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.contract.preprocess import Slice
from service.inference import Inference
from service.session import Session
from service.settings import Settings
from tests.bundles import NAME, write_bundle, write_card, write_hungry_model
from tests.explainable import write_explainable_bundle
from tests.fakes import Faulty
from tests.pictures import draw, encode, png

DIED, NOT_READY, FAILED = (
    f"urn:neurotriage:problem:{each}" for each in ("worker-died", "not-ready", "inference-failed")
)


@contextmanager
def serving(models: Path, **options: Any) -> Iterator[TestClient]:
    app = create_app(Settings(models=models, provider="cpu", **options))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def session_of(client: TestClient, name: str = NAME) -> Session:
    app: Any = client.app
    session = app.state.catalogue.find(name).session
    assert isinstance(session, Session)
    return session


def disturb(session: Session, happens: Callable[[], None]) -> None:
    """Let something happen before each run, until the session is opened anew."""
    session._session = Faulty(session._session, happens)


def hang_until(let_go: threading.Event) -> None:
    assert let_go.wait(30)


def wait_until_ready(client: TestClient, status: int = 200) -> None:
    end = time.monotonic() + 20
    while client.get("/readyz").status_code != status:
        assert time.monotonic() < end
        time.sleep(0.01)


def wait_until_mended(client: TestClient, session: Session) -> None:
    """Return once the session is one that nothing disturbs."""
    end = time.monotonic() + 20
    while isinstance(session._session, Faulty) or not session.is_open:
        assert time.monotonic() < end
        time.sleep(0.01)
    wait_until_ready(client)


def ask(client: TestClient, seed: int = 1) -> tuple[int, Any]:
    """Status, and the problem or the probabilities."""
    sent = client.post("/predict", content=png(seed))
    return sent.status_code, sent.json().get("type") or sent.json()["probabilities"]


def same(one: dict[str, float], other: dict[str, float]) -> bool:
    return one == pytest.approx(other, abs=1e-5)


def test_a_session_that_hangs_costs_its_caller_the_answer_and_nobody_else(models: Path) -> None:
    with serving(models, lanes=1, stuck_seconds=0.3) as client:
        let_go = threading.Event()
        _, before = ask(client)
        disturb(session_of(client), lambda: hang_until(let_go))
        try:
            assert ask(client) == (503, DIED)
            wait_until_mended(client, session_of(client))
            status, after = ask(client)
            assert status == 200
            assert same(after, before)
            assert 'neurotriage_lane_faults_total{fault="stuck",model="tiny"' in client.get("/metrics").text
        finally:
            let_go.set()


def test_a_batch_of_pictures_that_take_long_to_decode_is_not_taken_for_hung(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = Inference.prepare

    def prepare_slowly(self: Inference, content: bytes) -> Slice:
        time.sleep(0.15)
        return prepare(self, content)

    monkeypatch.setattr(Inference, "prepare", prepare_slowly)
    with serving(models, lanes=1, max_batch_size=8, stuck_seconds=0.6) as client:
        sent = client.post("/predict/batch", files=[("files", png(seed)) for seed in range(9)])
        assert [each.get("type") for each in sent.json()["results"]] == [None] * 9
        assert "neurotriage_lane_faults_total{" not in client.get("/metrics").text


def test_while_a_session_hangs_too_often_readiness_is_off_and_health_answers(models: Path) -> None:
    with serving(models, lanes=1, stuck_seconds=0.05, max_stuck_runs=1) as client:
        let_go = threading.Event()

        try:
            disturb(session_of(client), lambda: hang_until(let_go))
            assert ask(client) == (503, DIED)
            wait_until_mended(client, session_of(client))
            disturb(session_of(client), lambda: hang_until(let_go))
            assert ask(client) == (503, DIED)
            wait_until_ready(client, 503)
            assert client.get("/livez").status_code == 200
            body = client.get("/readyz")
            assert (body.status_code, body.json()["models"][0]["state"]) == (503, "stopped")
            assert ask(client) == (503, DIED)
        finally:
            let_go.set()
        wait_until_ready(client)
        assert ask(client)[0] == 200


def test_a_session_that_raises_fails_its_own_callers_and_is_opened_anew_when_it_goes_on_so(models: Path) -> None:
    def fail() -> None:
        raise RuntimeError("CUDA error 700: an illegal memory access was encountered")

    with serving(models, lanes=1) as client:
        _, before = ask(client)
        disturb(session_of(client), fail)
        assert [ask(client) for _ in range(3)] == [(500, FAILED)] * 3
        wait_until_mended(client, session_of(client))
        status, after = ask(client)
        assert status == 200
        assert same(after, before)


def test_pictures_that_cannot_be_read_do_not_hide_that_a_session_fails_time_and_again(models: Path) -> None:
    def fail() -> None:
        raise RuntimeError("CUDA error 700: an illegal memory access was encountered")

    with serving(models, lanes=1) as client:
        disturb(session_of(client), fail)
        for _ in range(3):
            assert ask(client) == (500, FAILED)
            assert client.post("/predict", content=b"no picture").status_code == 415
        wait_until_mended(client, session_of(client))
        assert ask(client)[0] == 200


def test_a_thread_that_dies_costs_its_caller_the_answer_and_nobody_else(models: Path) -> None:
    deaths = [SystemExit()]

    def die_once() -> None:
        if deaths:
            raise deaths.pop()

    with serving(models, lanes=1) as client:
        disturb(session_of(client), die_once)
        assert ask(client) == (503, DIED)
        assert ask(client)[0] == 200
        assert client.get("/readyz").status_code == 200


def greedy(greed: int) -> bytes:
    """A picture of the tiny model's size, so that its first pixel stays as it is."""
    picture = draw(1, 32, 32)
    picture.putpixel((0, 0), 253 + greed)
    return encode(picture)


def test_a_picture_that_takes_all_memory_gets_503_and_the_session_is_opened_anew(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    write_hungry_model(folder / "model.onnx")
    write_card(folder)
    with serving(tmp_path) as client:
        opened = session_of(client)._session
        assert client.post("/predict", content=greedy(1)).status_code == 200
        sent = client.post("/predict", content=greedy(2))
        assert (sent.status_code, sent.json()["type"], sent.headers["retry-after"]) == (503, NOT_READY, "5")
        assert "memory" in sent.json()["detail"]
        end = time.monotonic() + 20
        while session_of(client)._session in (opened, None):
            assert time.monotonic() < end
            time.sleep(0.01)
        wait_until_ready(client)
        assert ask(client)[0] == 200


@pytest.mark.parametrize("harm", ["truncated", "replaced", "removed"])
def test_a_bundle_harmed_while_it_serves_goes_on_serving_even_through_a_hang(tmp_path: Path, harm: str) -> None:
    folder = write_explainable_bundle(tmp_path)
    with serving(tmp_path, lanes=1, stuck_seconds=0.3) as client:
        _, before = ask(client)
        shown = client.post("/explain", content=png(1)).json()["explanation"]
        if harm == "truncated":
            for path in folder.iterdir():
                path.write_bytes(path.read_bytes()[:100])
        else:
            shutil.rmtree(folder)
        if harm == "replaced":
            write_explainable_bundle(tmp_path, seed=2)
        let_go = threading.Event()
        disturb(session_of(client), lambda: hang_until(let_go))
        try:
            assert ask(client) == (503, DIED)
        finally:
            let_go.set()
        wait_until_ready(client)
        status, after = ask(client)
        assert status == 200
        assert same(after, before)
        assert client.post("/explain", content=png(1)).json()["explanation"] == shown


def test_a_bundle_that_is_gone_when_its_session_must_be_opened_is_not_ready_until_it_is_back(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "models")
    with serving(tmp_path / "models", lanes=1) as client:
        session_of(client).close()  # as a failure in the midst of opening leaves it
        folder.rename(tmp_path / "away")
        assert [ask(client)[0] for _ in range(3)] == [500] * 3
        body = client.get("/readyz")
        assert (body.status_code, body.json()["models"][0]["state"]) == (503, "stopped")
        (tmp_path / "away").rename(folder)
        wait_until_ready(client)
        assert ask(client)[0] == 200
