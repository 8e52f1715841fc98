"""The operator's metrics, under the names that controller-runtime gave them, so that dashboards and alerts carry over.

No label holds the name of an object: the number of series must not grow with the number of resources.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

QUEUE = "slipway"
_QUEUE_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300)
_RECONCILE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_RESULTS = {"stalled": "error", "transient": "error", "conflict": "requeue"}


class OperatorMetrics:
    """All collectors of one process, on a registry of their own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        disable_created_metrics()  # type: ignore[no-untyped-call]
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._make_queue()
        self._make_controllers()
        self._make_client()
        self.leader = Gauge(
            "leader_election_master_status", "1 while this instance holds the lease.", ["name"], registry=self.registry
        )
        self._notifications = Counter(
            "slipway_notifications_total", "Events for the webhook by result: sent, dropped.", ["result"], registry=self.registry
        )
        self.loop_lag = Gauge("slipway_event_loop_lag_seconds", "How late the event loop last woke up.", registry=self.registry)

    def _make_queue(self) -> None:
        r = self.registry
        self._depth = Gauge("workqueue_depth", "Keys in line.", ["name"], registry=r).labels(QUEUE)
        self._adds = Counter("workqueue_adds_total", "Keys put in line.", ["name"], registry=r).labels(QUEUE)
        self._retries = Counter(
            "workqueue_retries_total", "Keys put in line again after a failure or a conflict.", ["name"], registry=r
        ).labels(QUEUE)
        self._waits = Histogram(
            "workqueue_queue_duration_seconds",
            "Time in line before a worker took a key.",
            ["name"],
            buckets=_QUEUE_BUCKETS,
            registry=r,
        ).labels(QUEUE)
        self._works = Histogram(
            "workqueue_work_duration_seconds",
            "Time that a worker took for a key.",
            ["name"],
            buckets=_RECONCILE_BUCKETS,
            registry=r,
        ).labels(QUEUE)

    def _make_controllers(self) -> None:
        r = self.registry
        self._reconciles = Counter(
            "controller_runtime_reconcile_total",
            "Reconciles by result: success, requeue_after, requeue, error.",
            ["controller", "result"],
            registry=r,
        )
        self._errors = Counter(
            "controller_runtime_reconcile_errors_total",
            "Reconciles that ended Stalled or Transient.",
            ["controller"],
            registry=r,
        )
        self._times = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Length of a reconcile.",
            ["controller"],
            buckets=_RECONCILE_BUCKETS,
            registry=r,
        )
        self._active = Gauge("controller_runtime_active_workers", "Reconciles under way.", ["controller"], registry=r)

    def _make_client(self) -> None:
        r = self.registry
        self._requests = Counter(
            "rest_client_requests_total",
            "Requests to the API server by method and status code; code <error> when there was no answer.",
            ["code", "method"],
            registry=r,
        )
        self._request_times = Histogram(
            "rest_client_request_duration_seconds",
            "Time until the API server's answer.",
            ["verb"],
            buckets=_RECONCILE_BUCKETS,
            registry=r,
        )

    def queue_added(self, count: int = 1) -> None:
        self._adds.inc(count)

    def queue_depth(self, depth: int) -> None:
        self._depth.set(depth)

    def queue_taken(self, waited: float, depth: int) -> None:
        """`waited` in seconds."""
        self._waits.observe(waited)
        self._depth.set(depth)

    def queue_retried(self) -> None:
        self._retries.inc()

    @contextmanager
    def working(self, controller: str) -> Iterator[None]:
        """Around one reconcile."""
        active = self._active.labels(controller)
        active.inc()
        started = time.perf_counter()
        try:
            yield
        finally:
            active.dec()
            seconds = time.perf_counter() - started
            self._times.labels(controller).observe(seconds)
            self._works.observe(seconds)

    def reconciled(self, controller: str, word: str, asked_for_more: bool) -> None:
        """`word` is the outcome's."""
        result = _RESULTS.get(word) or ("requeue_after" if asked_for_more else "success")
        self._reconciles.labels(controller, result).inc()
        if result == "error":
            self._errors.labels(controller).inc()

    def requested(self, method: str, verb: str, code: int | None, seconds: float) -> None:
        """One request of the API client; `code` None when no answer came."""
        self._requests.labels("<error>" if code is None else str(code), method).inc()
        self._request_times.labels(verb).observe(seconds)

    def notified(self, result: str) -> None:
        """One event for the webhook came to its end."""
        self._notifications.labels(result).inc()

    def exposition(self) -> tuple[bytes, str]:
        """The text that Prometheus scrapes, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
