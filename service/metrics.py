"""What Prometheus reads at `/metrics`: seconds and counts, in Triton's decomposition, in the app's own registry."""

from collections.abc import Callable, Iterable
from itertools import product
from typing import TypedDict

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
STAGE_SECONDS = (0.0001, 0.00025, 0.0005, *SECONDS)
"""A stage may take a tenth of a millisecond, as a small batch's run on a GPU does."""
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
FAULTS = ("deadline-exceeded", "inference-failed", "service-error", "worker-died")
REFUSALS = ("no-room", "not-ready", "overloaded", "rate-limited")
"""Problems that alerts watch: their counters begin at 0, since `rate()` does not see the value one is born with."""


class BatcherCounters(TypedDict):
    """Callbacks of a batcher: why an entry was skipped, what befell a lane."""

    skipped: Callable[[str], None]
    faulted: Callable[[str], None]


class Metrics:
    """All metrics of one app."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "neurotriage_requests_total", "Requests answered.", ("route", "status"), registry=self.registry
        )
        self.request_seconds = Histogram(
            "neurotriage_request_seconds", "From the request's first byte to the answer's last.", ("route",),
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.stage_seconds = Histogram(
            "neurotriage_stage_seconds",
            "Where predictions' time went; a slice's queue, decode and preprocess, a batch's infer and postprocess.",
            ("model", "version", "stage"), buckets=STAGE_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.batch_size = Histogram(
            "neurotriage_batch_size", "Slices that shared a prediction's batch.", ("model", "version"),
            buckets=BATCH_SIZES, registry=self.registry,
        )  # fmt: skip
        self.predictions = Counter(
            "neurotriage_predictions_total", "Predictions by label.", ("model", "version", "label"),
            registry=self.registry,
        )  # fmt: skip
        self.failures = Counter(
            "neurotriage_failures_total", "Predictions not given, by problem.", ("model", "version", "problem"),
            registry=self.registry,
        )  # fmt: skip
        self.queue_seconds = Histogram(
            "neurotriage_queue_seconds", "Waiting for a lane, by priority.", ("model", "version", "priority"),
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.skipped = Counter(
            "neurotriage_skipped_total", "Slices that waited and were never computed: caller gone, or deadline late.",
            ("model", "version", "queue", "reason"), registry=self.registry,
        )  # fmt: skip
        self.lane_faults = Counter(
            "neurotriage_lane_faults_total", "Lanes mended: their run stuck, their thread died, or their runs failed.",
            ("model", "version", "queue", "fault"), registry=self.registry,
        )  # fmt: skip
        self.lost_log_lines = Gauge(
            "neurotriage_lost_log_lines", "Log lines that could not be written.", registry=self.registry
        )
        self.problems = Counter(
            "neurotriage_problems_total", "Requests refused or failed, by problem.", ("route", "problem"),
            registry=self.registry,
        )  # fmt: skip
        self.held_bytes = Gauge(
            "neurotriage_held_bytes", "Bytes of bodies held for requests in flight.", registry=self.registry
        )
        self.audit_lost = Counter(
            "neurotriage_audit_lost_total", "Audit lines that could not be kept.", registry=self.registry
        )
        self.queue_depth = Gauge(
            "neurotriage_queue_depth", "Slices waiting.", ("model", "version"), registry=self.registry
        )
        self.explain_seconds = Histogram(
            "neurotriage_explain_seconds", "From a picture's last byte to its maps.", ("model", "version", "method"),
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.explain_queue_depth = Gauge(
            "neurotriage_explain_queue_depth", "Maps waiting for their run.", ("model", "version"),
            registry=self.registry,
        )  # fmt: skip
        self.explain_ready = Gauge(
            "neurotriage_explain_ready", "1 where the version explains.", ("model", "version"), registry=self.registry
        )
        self.model_ready = Gauge(
            "neurotriage_model_ready", "1 where the version serves, on the named execution provider.",
            ("model", "version", "provider"), registry=self.registry,
        )  # fmt: skip

    def begin_routes(self, routes: Iterable[str]) -> None:
        """Begin the counts of the problems that alerts watch on these routes."""
        for route, problem in product(routes, (*FAULTS, *REFUSALS)):
            self.problems.labels(route=route, problem=problem)

    def begin_failures(self, labels: dict[str, str]) -> None:
        """Begin the counts of one model's failures that alerts watch."""
        for problem in FAULTS:
            self.failures.labels(**labels, problem=problem)

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """A request is over."""
        self.requests.labels(route=route, status=str(status)).inc()
        self.request_seconds.labels(route=route).observe(seconds)

    def counters(self, queue: str, labels: dict[str, str]) -> "BatcherCounters":
        """What the batcher of one model's queue, `predict` or `explain`, tells."""
        return {
            "skipped": lambda reason: self.skipped.labels(**labels, queue=queue, reason=reason).inc(),
            "faulted": lambda fault: self.lane_faults.labels(**labels, queue=queue, fault=fault).inc(),
        }

    def forget(self, labels: dict[str, str]) -> None:
        """Drop the gauges of a version that serves no more, and with them what they read."""
        for gauge in (self.queue_depth, self.explain_queue_depth, self.explain_ready, self.model_ready):
            gauge.remove_by_labels(labels)

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)
