"""Counters of the server: plain numbers on the event loop's thread, rendered for Prometheus when somebody asks.

The client library's own counters lock and look labels up at every step; at ten thousand requests a second that is felt.
Only the rendering is the library's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

LATENCY: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Bounds in seconds of requests and of runs of the model."""
WAITING: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
"""Bounds in seconds of the time that a request waits for the model."""
ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)
"""Bounds in rows of one run of the model."""


class Histogram:
    """Counts of values by upper bound (inclusive), and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Counts `value`."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def observe_since(self, starts: Sequence[float], now: float) -> None:
        """Counts the times from `starts`, of which there are some, to `now`."""
        counts, left, starts = self.counts, len(starts), sorted(starts)
        for at, bound in enumerate(self.bounds):
            longer = bisect_left(starts, now - bound, 0, left)
            counts[at] += left - longer
            left = longer
            if not left:
                break
        counts[-1] += left
        self.sum += len(starts) * now - sum(starts)

    def cumulative(self) -> list[tuple[str, float]]:
        """``(le, count)`` for each bound, as the exposition format wants it."""
        total, rows = 0, []
        for bound, count in zip([*self.bounds, float("inf")], self.counts, strict=True):
            total += count
            rows.append((str(float(bound)) if bound != float("inf") else "+Inf", float(total)))
        return rows


class Series:
    """Requests to one endpoint of one model: how many by status, and their seconds from headers to answer."""

    __slots__ = ("latency", "requests")

    def __init__(self) -> None:
        self.requests: dict[int, int] = {}
        self.latency = Histogram(LATENCY)


class Metrics:
    """What the server counts. Used from the event loop's thread only."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, str], Series] = {}
        """By model and endpoint; the model is empty for the server's own endpoints."""
        self.batch_rows = Histogram(ROWS)
        self.queue_seconds = Histogram(WAITING)
        self.run_seconds = Histogram(LATENCY)
        self.in_flight: Callable[[], int] = lambda: 0
        self.connections: Callable[[], int] = lambda: 0
        self.waiting: Callable[[], int] = lambda: 0
        self.ready = False
        self.models: dict[str, tuple[str, str, str]] = {}
        """Version, digest and format of what is served, by name."""
        self.always: list[Callable[[], Iterable[Any]]] = []
        """Give further metric families, whatever models there are."""
        self.more: list[Callable[[], Iterable[Any]]] = []
        """Give further metric families: what monitoring knows of a model."""

    def answered(self, model: str, endpoint: str, status: int, seconds: float) -> None:
        """One request was answered."""
        series = self.series.get((model, endpoint))
        if series is None:
            series = self.series[model, endpoint] = Series()
        series.requests[status] = series.requests.get(status, 0) + 1
        series.latency.observe(seconds)

    def answered_all(self, model: str, endpoint: str, starts: Sequence[float], now: float) -> None:
        """Requests that began at `starts` were answered with 200 at `now`."""
        series = self.series.get((model, endpoint))
        if series is None:
            series = self.series[model, endpoint] = Series()
        series.requests[200] = series.requests.get(200, 0) + len(starts)
        series.latency.observe_since(starts, now)

    def render(self) -> bytes:
        """The Prometheus text format."""
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        ProcessCollector(registry=registry)
        return generate_latest(registry)

    def collect(self) -> Iterator[Any]:
        """The families, for the client library's registry."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        labels: tuple[str, ...] = ("model", "endpoint", "status")
        requests = CounterMetricFamily("slipway_requests", "Requests answered.", labels=labels)
        labels = ("model", "endpoint", "reason")
        errors = CounterMetricFamily("slipway_request_errors", "Requests not answered as asked.", labels=labels)
        latency = HistogramMetricFamily(
            "slipway_request_duration_seconds", "From a request's headers to its answer.", labels=("model", "endpoint")
        )
        for key, series in list(self.series.items()):
            failed: Counter[str] = Counter()
            for status, count in list(series.requests.items()):
                requests.add_metric((*key, str(status)), count)
                if status >= 400:
                    failed[reason_of(status)] += count
            for reason, count in failed.items():
                errors.add_metric((*key, reason), count)
            latency.add_metric(key, series.latency.cumulative(), series.latency.sum)
        yield from (requests, errors, latency)
        for name, text, histogram in (
            ("slipway_batch_rows", "Rows in one run of the model.", self.batch_rows),
            ("slipway_queue_seconds", "What a request waited for the model.", self.queue_seconds),
            ("slipway_model_run_seconds", "One run of the model.", self.run_seconds),
        ):
            family = HistogramMetricFamily(name, text)
            family.add_metric((), histogram.cumulative(), histogram.sum)
            yield family
        yield GaugeMetricFamily("slipway_requests_in_flight", "Requests begun and not answered.", self.in_flight())
        yield GaugeMetricFamily("slipway_connections", "Open connections of clients.", self.connections())
        yield GaugeMetricFamily("slipway_requests_waiting", "Requests that wait for the model.", self.waiting())
        yield GaugeMetricFamily("slipway_model_ready", "1 when the model answers.", float(self.ready))
        info = GaugeMetricFamily(
            "slipway_model_info", "The models that are served.", labels=("model", "version", "digest", "format")
        )
        for name, known in self.models.items():
            info.add_metric((name, *known), 1)
        yield info
        for families in (*self.always, *self.more):
            yield from families()


def reason_of(status: int) -> str:
    """Why a request was not answered as asked, from its status."""
    named = {408: "timeout", 429: "busy", 499: "gone", 503: "unavailable", 504: "timeout"}
    return named.get(status, "bad_request" if status < 500 else "internal")
