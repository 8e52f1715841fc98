"""What a monitor knows, for Prometheus and as JSON (docs/metrics.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from slipway.serving.app import JSON, Get
from slipway.serving.monitoring.drift import largest
from slipway.serving.monitoring.monitor import Monitor
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


def monitoring_routes(monitor: Monitor, model: str, version: str) -> dict[str, Get]:
    """``GET /v2/models/<model>/drift``, and the same below its version."""

    def drift() -> tuple[int, str, bytes]:
        return 200, JSON, orjson.dumps({"model": model, "version": version, **monitor.document()})

    route = Get("drift", drift, model)
    return {f"/v2/models/{model}/drift": route, f"/v2/models/{model}/versions/{version}/drift": route}
