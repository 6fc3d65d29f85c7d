from typing import Any

from benchmarks import report


def closed(number: int, server: str, rate: float, generator: float = 0.0) -> dict[str, Any]:
    fields = {"kind": "closed", "concurrency": 32, "generator_cores": generator, "p50": 0.1, "p99": 0.3, "errors": 0}
    return {"round": number, "server": server, "rate": rate} | fields


def limit(number: int, rate: float) -> dict[str, Any]:
    return {"round": number, "server": "limit", "kind": "limit", "rate": rate}


def test_a_share_is_a_median_of_ratios_within_rounds_and_not_of_figures() -> None:
    rows = [limit(0, 100), limit(1, 50), closed(0, "ours", 90), closed(1, "ours", 50)]
    assert report.share(rows, "ours", 32) == "0.95 [0.90, 1.00]"


def test_a_round_that_lacks_its_limit_counts_nowhere() -> None:
    assert report.share([limit(0, 100), closed(0, "ours", 90), closed(1, "ours", 1)], "ours", 32) == "0.90 [0.90, 0.90]"


def test_the_generators_own_share_is_taken_off_the_limit(monkeypatch: Any) -> None:
    monkeypatch.setattr(report, "usable_cpus", lambda: 2)
    rows = [limit(0, 100), closed(0, "ours", 90, generator=0.2)]
    assert report.share(rows, "ours", 32, left=True) == "1.00 [1.00, 1.00]"


def test_a_loop_that_other_processes_disturbed_is_left_out_and_counted(monkeypatch: Any) -> None:
    monkeypatch.setattr(report, "usable_cpus", lambda: 2)
    rows = [limit(0, 100), limit(1, 100), closed(0, "ours", 90), closed(1, "ours", 10) | {"other_cores": 0.5}]
    text = report.text(rows, "drawn")
    assert "1 loops left out" in text
    assert "in flight 32: 0.90 [0.90, 0.90] of the limit" in text


def test_peers_are_compared_round_by_round() -> None:
    rows = [closed(0, "ours", 90), closed(0, "peer", 45), closed(1, "ours", 60), closed(1, "peer", 20)]
    assert "in flight 32: 2.50 [2.00, 3.00]" in report.against(rows, "peer")
