"""One `/metrics` of several processes: what each counted, added up, the dead included."""

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

Snapshot = list[dict[str, Any]]
"""Families as JSON: name, documentation, type, samples [[name, labels, value]]."""

REPORT_SECONDS = 1.0
"""How often a process reports unasked, which also shows that it is alive; what it counted since dies with it."""
SUMMED_GAUGES = frozenset({"neurotriage_held_bytes", "neurotriage_lost_log_lines", "neurotriage_processes"})
"""Gauges of which each process has a part."""
LEAST_GAUGES = frozenset({"neurotriage_model_ready", "neurotriage_explain_ready"})
"""Gauges that are 1 where all is well: one process that is not well shows. Of any other the most is told."""


def snapshot_of(registry: CollectorRegistry) -> Snapshot:
    """What a registry holds now."""
    return [
        {
            "name": family.name,
            "documentation": family.documentation,
            "type": family.type,
            "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples],
        }
        for family in registry.collect()
    ]


def merged(snapshots: Iterable[Snapshot]) -> Snapshot:
    """One snapshot that tells the whole: counters and histograms summed, gauges as their meaning asks."""
    families: dict[str, dict[str, Any]] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for snapshot in snapshots:
        for family in snapshot:
            families.setdefault(family["name"], family)
            samples = values.setdefault(family["name"], {})
            for name, labels, value in family["samples"]:
                key = name, tuple(sorted(labels.items()))
                samples[key] = combined(family, name, samples[key], value) if key in samples else value
    return [
        {**family, "samples": [[sample, dict(labels), value] for (sample, labels), value in values[name].items()]}
        for name, family in families.items()
    ]


def combined(family: dict[str, Any], sample: str, one: float, other: float) -> float:
    """Two processes' values of one sample as one."""
    if sample.endswith("_created") or family["name"] in LEAST_GAUGES:
        return min(one, other)
    if family["type"] != "gauge" or family["name"] in SUMMED_GAUGES:
        return one + other
    return max(one, other)


def counts_alone(snapshot: Snapshot) -> Snapshot:
    """What of a dead process's metrics must stay in the sum, for a counter that falls reads as a burst of events."""
    return [family for family in snapshot if family["type"] != "gauge"]


class _Told(Collector):
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        for family in self._snapshot:
            metric = Metric(family["name"], family["documentation"], family["type"])
            for name, labels, value in family["samples"]:
                metric.add_sample(name, labels, value)
            yield metric


def rendered(snapshot: Snapshot) -> bytes:
    """The text exposition format."""
    registry = CollectorRegistry()
    registry.register(_Told(snapshot))
    return generate_latest(registry)
