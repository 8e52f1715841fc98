"""The metrics of many versions as columns for a plot. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from slipway.registry.records import AliasMove, VersionRecord

MAX_METRICS = 12
SHOWN_FIRST = 4
SAME_SCALE = 0.1
"""Metrics whose middles differ by less than this part are drawn together."""


def plot(records: Sequence[VersionRecord], aliases: Mapping[str, AliasMove]) -> dict[str, Any] | None:
    """Version numbers rising, and for each metric its value or None; None when there is nothing to plot. `shown`: the metrics
    that share a scale with the first, which are drawn until somebody chooses."""
    rising = sorted(records, key=lambda record: record.version)
    names = _names(rising)
    if not names or not rising:
        return None
    series = {name: [_finite(record.metrics.get(name)) for record in rising] for name in names}
    return {
        "versions": [record.version for record in rising],
        "series": series,
        "shown": _shown(series),
        "aliases": {alias: move.version for alias, move in sorted(aliases.items())},
    }


def _names(records: Iterable[VersionRecord]) -> list[str]:
    """Metrics that gates judge first, then by how many versions have them, then by name."""
    counts: dict[str, int] = {}
    judged: set[str] = set()
    for record in records:
        judged.update(gate.metric for gate in record.gates)
        for name in record.metrics:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: (name not in judged, -counts[name], name))[:MAX_METRICS]


def _shown(series: Mapping[str, Sequence[float | None]]) -> list[str]:
    first, *others = series
    middle = _middle(series[first])
    near = [name for name in others if abs(_middle(series[name]) - middle) <= SAME_SCALE * abs(middle)]
    return [first, *near][:SHOWN_FIRST]


def _middle(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None] or [0.0]
    return (min(known) + max(known)) / 2


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
