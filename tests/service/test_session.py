import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

from service.lone import LoneChoice
from service.session import CPU, CUDA, Plan, ProviderUnavailable, Session, choose_provider, cuda_fault, make_plan
from tests.bundles import CLASSES, SIZE, write_model


def slices(count: int, seed: int = 0) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE), np.uint8))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_model(tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_the_cpu_plan_is_a_lane_more_than_cores_with_batches_of_any_size() -> None:
    plan = make_plan(CPU, 6)
    assert (plan.lanes, plan.threads_per_lane, plan.buckets) == (7, 1, (1, 2))


def test_a_gpu_plan_is_one_lane_with_batches_padded_to_powers_of_two() -> None:
    plan = make_plan(CUDA, 6)
    assert (plan.lanes, plan.buckets) == (1, (1, 2, 4, 8, 16, 32))
    assert make_plan(CUDA, 6, max_batch_size=12).buckets == (1, 2, 4, 8, 12)
    assert make_plan(CUDA, 6, max_batch_size=1).buckets == (1,)


def test_settings_override_the_plan() -> None:
    plan = make_plan(CPU, 8, lanes=2, threads=4, max_batch_size=16)
    assert (plan.lanes, plan.threads_per_lane, plan.max_batch_size) == (2, 4, 16)
    assert make_plan(CPU, 8, threads=4).lanes == 3
    assert make_plan(CPU, 2, threads=4).lanes == 2


def test_padding_changes_no_answer(model: Path) -> None:
    exact = Session(model, make_plan(CPU, 1, max_batch_size=8))
    padded = Session(model, make_plan(CPU, 1, max_batch_size=8).__class__(CPU, 1, 1, 8, (8,)))
    for count in (1, 3, 8):
        assert np.allclose(exact.run(slices(count)), padded.run(slices(count)), atol=1e-5)
        assert padded.run(slices(count)).shape == (count, len(CLASSES))


def test_threads_that_share_a_session_get_their_own_answers(model: Path) -> None:
    session = Session(model, make_plan(CPU, 2, max_batch_size=4))
    batches = [slices(3, seed) for seed in range(60)]
    alone = [session.run(batch) for batch in batches]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(session.run, batches))
    assert np.allclose(alone, together, atol=1e-5)


def test_the_provider_reported_is_the_one_that_runs(model: Path) -> None:
    assert Session(model, make_plan(CPU, 1)).provider == CPU


def test_what_becomes_of_its_files_does_not_concern_an_open_session(tmp_path: Path) -> None:
    write_model(tmp_path / "inline.onnx")
    inline = onnx.load(tmp_path / "inline.onnx")
    onnx.save(inline, tmp_path / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    session = Session(tmp_path / "model.onnx", make_plan(CPU, 1, max_batch_size=4))
    before = session.run(slices(3))
    weights = tmp_path / "weights.bin"
    with weights.open("r+b") as file:
        file.write(bytes(weights.stat().st_size))
    assert np.array_equal(session.run(slices(3)), before)
    os.truncate(weights, 1)
    (tmp_path / "model.onnx").unlink()
    assert np.array_equal(session.run(slices(3)), before)


def test_opened_anew_it_answers_as_before_and_closed_it_says_so(model: Path) -> None:
    session = Session(model, make_plan(CPU, 1, max_batch_size=4))
    before = session.run(slices(3))
    session.close()
    assert not session.is_open
    session.open()
    assert session.is_open
    assert np.array_equal(session.run(slices(3)), before)


def test_warming_up_accepts_the_graph_the_card_describes(model: Path) -> None:
    Session(model, make_plan(CPU, 1)).warm_up(SIZE, SIZE, len(CLASSES))


def always_worth_it(monkeypatch: pytest.MonkeyPatch, gain: float = 1000.0) -> None:
    """Let more threads count as a gain whatever they take, or never with 0."""
    monkeypatch.setattr("service.lone.GAIN", gain)
    monkeypatch.setattr("service.lone.WORTH_SECONDS", 0.0)
    monkeypatch.setattr("service.lone.PAUSE_SECONDS", 0.0)


def no_memory(*_: object) -> None:
    raise RuntimeError("std::bad_alloc")


def test_a_gain_that_shows_only_later_is_found(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    always_worth_it(monkeypatch, gain=0.9)
    windows = iter([[1.0, 2.0], [1.0, 0.95], [1.0, 0.7]])
    monkeypatch.setattr("service.lone.shortest", lambda _: next(windows))
    session = Session(model, make_plan(CPU, 2))
    session.warm_up(SIZE, SIZE, len(CLASSES))
    assert session.plan.lone_threads == 2


def test_runs_that_take_no_time_get_no_second_session(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    always_worth_it(monkeypatch)
    monkeypatch.setattr("service.lone.WORTH_SECONDS", 1000.0)
    session = Session(model, make_plan(CPU, 2))
    session.warm_up(SIZE, SIZE, len(CLASSES))
    assert session.plan.lone_threads is None


def test_a_lone_run_gives_a_lanes_answers_on_however_many_threads_and_when_opened_anew(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_worth_it(monkeypatch)
    session = Session(model, make_plan(CPU, 4))
    assert np.array_equal(session.run_alone(slices(1)), session.run(slices(1)))
    for _ in range(2):
        session.warm_up(SIZE, SIZE, len(CLASSES))
        assert session.plan.lone_threads in {2, 4}
        for seed in range(10):
            assert np.allclose(session.run_alone(slices(1, seed)), session.run(slices(1, seed)), atol=1e-5)
        session.open()


def gaining(model: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session that was warmed up and gives a lone picture both cores."""
    always_worth_it(monkeypatch)
    session = Session(model, make_plan(CPU, 2))
    session.warm_up(SIZE, SIZE, len(CLASSES))
    assert session.plan.lone_threads == 2
    return session


def test_opened_anew_without_a_gain_it_no_longer_says_that_there_is_one(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = gaining(model, monkeypatch)
    always_worth_it(monkeypatch, gain=0.0)
    session.open()
    session.warm_up(SIZE, SIZE, len(CLASSES))
    assert session.plan.lone_threads is None


def test_opened_anew_without_memory_for_a_second_session_it_no_longer_says_that_there_is_one(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = gaining(model, monkeypatch)
    session.open()
    monkeypatch.setattr(Session, "_open_with", no_memory)
    session.warm_up(SIZE, SIZE, len(CLASSES))
    assert session.plan.lone_threads is None


def test_without_memory_for_a_second_session_lone_runs_stay_on_their_lane(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_worth_it(monkeypatch)
    session = Session(model, make_plan(CPU, 2))
    monkeypatch.setattr(Session, "_open_with", no_memory)
    session.warm_up(SIZE, SIZE, len(CLASSES))
    assert session.plan.lone_threads is None
    assert np.array_equal(session.run_alone(slices(1)), session.run(slices(1)))


def test_a_closed_session_runs_nothing_alone_either(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    always_worth_it(monkeypatch)
    session = Session(model, make_plan(CPU, 2))
    session.warm_up(SIZE, SIZE, len(CLASSES))
    session.close()
    with pytest.raises(AttributeError):
        session.run_alone(slices(1))


def test_a_network_alike_takes_what_was_found_without_another_look(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_worth_it(monkeypatch)
    choice = LoneChoice()
    first = Session(model, make_plan(CPU, 4), lone_choice=choice)
    first.warm_up(SIZE, SIZE, len(CLASSES))
    monkeypatch.setattr("service.lone.shortest", pytest.fail)
    second = Session(model, make_plan(CPU, 4), lone_choice=choice)
    second.warm_up(SIZE, SIZE, len(CLASSES))
    assert second.plan.lone_threads == first.plan.lone_threads
    assert np.allclose(second.run_alone(slices(1)), second.run(slices(1)), atol=1e-5)


def test_without_a_gain_a_lone_run_stays_on_its_lane(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    always_worth_it(monkeypatch, gain=0.0)
    session = Session(model, make_plan(CPU, 4))
    session.warm_up(SIZE, SIZE, len(CLASSES))
    assert session.plan.lone_threads is None


@pytest.mark.parametrize("plan", [make_plan(CPU, 1), make_plan(CPU, 4, lanes=1), make_plan(CPU, 4, threads=4)])
def test_lanes_that_were_given_fewer_cores_bound_a_lone_run_too(
    model: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_worth_it(monkeypatch)
    session = Session(model, plan)
    session.warm_up(SIZE, SIZE, len(CLASSES))
    assert session.plan.lone_threads is None


@pytest.mark.parametrize(("height", "classes", "says"), [(SIZE + 1, 4, "takes"), (SIZE, 5, "answers")])
def test_warming_up_refuses_a_graph_the_card_does_not_describe(
    model: Path, height: int, classes: int, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        Session(model, make_plan(CPU, 1)).warm_up(height, SIZE, classes)


def test_warming_up_refuses_a_graph_without_the_cards_output(model: Path) -> None:
    with pytest.raises(ValueError, match="no output"):
        Session(model, make_plan(CPU, 1), logits="scores").warm_up(SIZE, SIZE, 4)


@pytest.mark.skipif(cuda_fault() is None, reason="this machine has CUDA")
def test_without_cuda_auto_falls_back_and_cuda_refuses() -> None:
    assert choose_provider("auto") == CPU
    with pytest.raises(ProviderUnavailable, match="cuda was asked for"):
        choose_provider("cuda")


def test_the_cpu_can_be_insisted_on() -> None:
    assert choose_provider("cpu") == CPU


@pytest.mark.skipif(cuda_fault() is None, reason="this machine has CUDA")
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_silent_fallback_of_onnx_runtime_is_found_out(model: Path) -> None:
    with pytest.raises(ProviderUnavailable, match="ONNX Runtime gave CPUExecutionProvider"):
        Session(model, make_plan(CUDA, 1))
