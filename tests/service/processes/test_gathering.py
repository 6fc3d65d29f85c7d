import pytest
from prometheus_client import Gauge

from service.metrics import Metrics
from service.processes.gathering import counts_alone, merged, rendered, snapshot_of


def counted(requests: int, ready: float, held: int, depth: int) -> Metrics:
    metrics = Metrics()
    for _ in range(requests):
        metrics.count_request("/predict", 200, 0.02)
    metrics.model_ready.labels(model="m", version="1", provider="p").set(ready)
    metrics.held_bytes.set(held)
    metrics.lost_log_lines.set(requests)
    for reason in ("gone", "late"):
        metrics.counters("predict", {"model": "m", "version": "1"})["skipped"](reason)
    metrics.counters("predict", {"model": "m", "version": "1"})["faulted"]("stuck")
    metrics.queue_seconds.labels(model="m", version="1", priority="stat").observe(0.02)
    metrics.problems.labels(route="/predict", problem="overloaded").inc(requests)
    metrics.queue_depth.labels(model="m", version="1").set(depth)
    return metrics


def test_counts_add_up_and_gauges_say_what_they_mean() -> None:
    one, other = counted(3, 1, 100, 5), counted(4, 0, 20, 5)
    text = rendered(merged([snapshot_of(one.registry), snapshot_of(other.registry)])).decode()
    assert 'neurotriage_requests_total{route="/predict",status="200"} 7.0' in text
    assert 'neurotriage_request_seconds_bucket{le="0.025",route="/predict"} 7.0' in text
    assert 'neurotriage_request_seconds_count{route="/predict"} 7.0' in text
    assert 'neurotriage_model_ready{model="m",provider="p",version="1"} 0.0' in text
    assert "neurotriage_held_bytes 120.0" in text
    assert "neurotriage_lost_log_lines 7.0" in text
    version = 'model="m",queue="predict",reason="late",version="1"'
    assert f"neurotriage_skipped_total{{{version}}} 2.0" in text
    assert 'neurotriage_lane_faults_total{fault="stuck",model="m",queue="predict",version="1"} 2.0' in text
    assert 'neurotriage_queue_seconds_count{model="m",priority="stat",version="1"} 2.0' in text
    assert 'neurotriage_problems_total{problem="overloaded",route="/predict"} 7.0' in text
    assert 'neurotriage_queue_depth{model="m",version="1"} 5.0' in text


def test_the_whole_of_one_process_is_what_it_says_itself() -> None:
    metrics = counted(3, 1, 100, 5)
    told = rendered(merged([snapshot_of(metrics.registry)])).decode()
    assert sorted(told.splitlines()) == sorted(metrics.render().decode().splitlines())


def test_the_dead_count_on_but_are_not_there() -> None:
    dead, living = counted(3, 0, 100, 9), counted(1, 1, 7, 2)
    text = rendered(merged([counts_alone(snapshot_of(dead.registry)), snapshot_of(living.registry)])).decode()
    assert 'neurotriage_requests_total{route="/predict",status="200"} 4.0' in text
    assert "neurotriage_held_bytes 7.0" in text
    assert 'neurotriage_model_ready{model="m",provider="p",version="1"} 1.0' in text


@pytest.mark.parametrize("name", ["neurotriage_held_bytes", "neurotriage_model_ready", "neurotriage_explain_ready"])
def test_gauges_with_a_rule_of_their_own_exist(name: str) -> None:
    gauges = [each for each in vars(Metrics()).values() if isinstance(each, Gauge)]
    assert name in [family.name for gauge in gauges for family in gauge.describe()]
