"""What is known of a model version, for Prometheus (docs/metrics.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from slipway.serving.monitoring.drift import largest
from slipway.serving.monitoring.feedback import Feedback
from slipway.serving.monitoring.monitor import Monitor
from slipway.serving.monitoring.sink import Sink
from slipway.serving.monitoring.sketch import OTHER
from slipway.serving.monitoring.windows import WINDOWS

MAX_SERIES: Final = 100
"""Features with time series of their own: the first ones. The largest index is over all of them."""


def families(monitor: Monitor, model: str, version: str) -> Iterator[Any]:
    """Metric families of one model version."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    own, labels = (model, version), ("model", "version")
    taken, _ = monitor.totals()
    for name, text, value in (
        ("slipway_observed_rows", "Rows that monitoring looked at.", monitor.observed),
        ("slipway_unobserved_rows", "Rows that monitoring passed over to keep its cost low.", monitor.unobserved),
    ):
        counter = CounterMetricFamily(name, text, labels=labels)
        counter.add_metric(own, value)
        yield counter
    mix = CounterMetricFamily("slipway_predictions", "Predicted classes, of observed rows.", labels=(*labels, "class"))
    for name, count in monitor.classes.items():
        mix.add_metric((*own, name), count)
    yield mix
    if monitor.reference is None:
        return
    missing = CounterMetricFamily("slipway_feature_missing", "Missing values.", labels=(*labels, "feature"))
    beyond = CounterMetricFamily("slipway_feature_out_of_range", "Values that training did not see.", labels=(*labels, "feature"))
    for row, feature in enumerate(monitor.inputs.numbers[:MAX_SERIES]):
        missing.add_metric((*own, feature.name), int(taken.missing[row]))
        beyond.add_metric((*own, feature.name), int(taken.outside[row]))
    for feature, named in zip(monitor.inputs.categories[:MAX_SERIES], taken.texts, strict=False):
        missing.add_metric((*own, feature.name), named[""])
        beyond.add_metric((*own, feature.name), named[OTHER])
    yield from (missing, beyond)
    windowed = (*labels, "window")
    psi = GaugeMetricFamily("slipway_drift_psi", "Population stability index of an input.", labels=(*labels, "feature", "window"))
    most = GaugeMetricFamily("slipway_drift_psi_max", "The largest index of all inputs.", labels=windowed)
    predicted = GaugeMetricFamily("slipway_prediction_psi", "The index of an output.", labels=(*labels, "output", "window"))
    rows = GaugeMetricFamily("slipway_drift_rows", "Rows in the window.", labels=windowed)
    for window in WINDOWS:
        count, inputs, outputs = monitor.drift(window)
        rows.add_metric((*own, window), count)
        for family, found in ((psi, inputs), (predicted, outputs)):
            for one in found[:MAX_SERIES]:
                if one.psi is not None:
                    family.add_metric((*own, one.name, window), one.psi)
        highest = largest(inputs)
        if highest is not None:
            most.add_metric((*own, window), highest)
    yield from (psi, most, predicted, rows)


def feedback_families(feedback: Feedback, model: str, version: str) -> Iterator[Any]:
    """How often the model was right, or how far off, as far as the truth was told."""
    from prometheus_client.core import CounterMetricFamily

    own, labels = (model, version), ("model", "version")
    outcomes = CounterMetricFamily("slipway_feedback", "Rows whose truth was told, by outcome.", labels=(*labels, "outcome"))
    for outcome, count in feedback.outcomes.items():
        outcomes.add_metric((*own, outcome), count)
    yield outcomes
    for name, text, value in (
        ("slipway_feedback_compared", "Predicted numbers whose truth was told.", feedback.compared),
        ("slipway_feedback_absolute_error", "The sum of how far they were off.", feedback.absolute_error),
    ):
        counter = CounterMetricFamily(name, text, labels=labels)
        counter.add_metric(own, value)
        yield counter


def sink_families(sinks: Mapping[str, Sink], model: str, version: str) -> Iterator[Any]:
    """What became of the rows of the payload log and of feedback."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    own, labels = (model, version), ("model", "version", "log")
    stored = CounterMetricFamily("slipway_log_stored_rows", "Rows that the object store has.", labels=labels)
    files = CounterMetricFamily("slipway_log_files", "Files that the object store has.", labels=labels)
    lost = CounterMetricFamily("slipway_log_dropped_rows", "Rows that were lost.", labels=(*labels, "reason"))
    waiting = GaugeMetricFamily("slipway_log_waiting_rows", "Rows in memory.", labels=labels)
    for name, sink in sinks.items():
        stored.add_metric((*own, name), sink.written)
        files.add_metric((*own, name), sink.files)
        waiting.add_metric((*own, name), sink.waiting)
        for reason in ("full", "failed", "closed"):
            lost.add_metric((*own, name, reason), sink.dropped[reason])
    yield from (stored, files, lost, waiting)
