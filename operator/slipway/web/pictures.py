"""Pictures of columns and of ingestions: places and sizes, for templates to draw as SVG. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from slipway.features.records import ColumnStatistics, Ingestion
from slipway.web.words import duration, moment, number

WIDTH, HEIGHT = 320, 90
"""Of a histogram."""
TALL = 16
"""Of a line of a bar chart of words."""
TIMELINE = 1200
ROWS = ("Age of the newest event when it was written", "Rows written", "Values missing")
ROW, GAP = 64, 30
SPARK, SPARK_TALL = 140, 24


@dataclass(frozen=True)
class Bar:
    """A rectangle, in the picture's own units, and what it says."""

    x: float
    y: float
    width: float
    height: float
    title: str = ""
    label: str = ""


@dataclass(frozen=True)
class Card:
    """A column's picture and words. Either `bars` (a histogram), or `words` (the most frequent values, longest first)."""

    column: ColumnStatistics
    bars: tuple[Bar, ...] = ()
    words: tuple[Bar, ...] = ()
    missing: float = 0.0
    """Share of rows without a value."""
    spark: str = ""
    """Points of a line: that share over the ingestions, oldest first."""
    said: str = ""
    """What is to be seen, for those who do not see it."""


@dataclass(frozen=True)
class Step:
    """One ingestion in a timeline: a place that can be clicked, and a bar in each row of `ROWS`."""

    version: int
    place: Bar
    bars: tuple[Bar, ...]


def card(column: ColumnStatistics, nulls: Sequence[float] = ()) -> Card:
    """Of one column. `nulls`: shares of missing values over time, oldest first."""
    missing = column.nulls / column.rows if column.rows else 0.0
    bars, words = _histogram(column), _top(column)
    return Card(column, bars, words, missing, spark(nulls), _said(column, missing))


def _histogram(column: ColumnStatistics) -> tuple[Bar, ...]:
    counts, edges = column.counts, column.edges
    if not counts or len(edges) != len(counts) + 1 or not all(map(math.isfinite, edges)):
        return ()
    width, most = WIDTH / len(counts), max(counts) or 1
    bars = []
    for place, count in enumerate(counts):
        tall = HEIGHT * count / most
        title = f"{number(edges[place])} to {number(edges[place + 1])}: {count:,} rows"
        bars.append(_bar(place * width, HEIGHT - tall, max(width - 1, 0.5), tall, title))
    return tuple(bars)


def _top(column: ColumnStatistics, most: int = 8) -> tuple[Bar, ...]:
    if column.type.startswith(("timestamp", "date")):  # how often each came says nothing: from when to when does
        return ()
    shown = column.top[:most]
    longest = max((count for _, count in shown), default=0) or 1
    return tuple(
        _bar(0, place * TALL, (WIDTH - 130) * count / longest, TALL - 4, f"{text}: {count:,} rows", text[:18] or "(empty)")
        for place, (text, count) in enumerate(shown)
    )


def _said(column: ColumnStatistics, missing: float) -> str:
    words = [f"{column.name}, {column.type}"]
    if column.counts and column.min is not None and column.max is not None:
        middle = f", half of them below {number(column.quantiles[3])}" if len(column.quantiles) == 7 else ""
        words.append(f"histogram from {_shown(column.min)} to {_shown(column.max)}{middle}")
    elif column.type.startswith(("timestamp", "date")) and column.min is not None and column.max is not None:
        words.append(f"from {_shown(column.min)} to {_shown(column.max)}")
    elif column.top:
        words.append(f"most frequent: {', '.join(text for text, _ in column.top[:3])}")
    words.append(f"{missing:.1%} missing")
    return "; ".join(words)


def _shown(value: float | str) -> str:
    return number(value) if isinstance(value, float | int) else value


def spark(values: Sequence[float]) -> str:
    """Points of a line over `values` from 0 to 1; empty when there are fewer than two."""
    if len(values) < 2:
        return ""
    step = SPARK / (len(values) - 1)
    return " ".join(f"{place * step:.1f},{1 + (SPARK_TALL - 2) * (1 - value):.1f}" for place, value in enumerate(values))


def timeline(ingestions: Sequence[Ingestion]) -> tuple[Step, ...]:
    """Ingestions (newest first) from left to right, oldest first; each row of bars to its own highest."""
    shown = list(reversed(ingestions))
    if not shown:
        return ()
    lags = [_lag(one).total_seconds() for one in shown]
    rows = [float(one.rows) for one in shown]
    gaps = [missing(one) for one in shown]
    width = TIMELINE / max(len(shown), 12)
    steps = []
    for place, one in enumerate(shown):
        x = place * width
        said = f"{moment(one.at)}: {one.rows:,} rows, newest event {duration(_lag(one))} old, {gaps[place]:.1%} missing"
        bars = []
        for row, values in enumerate((lags, rows, gaps)):
            tall = ROW * values[place] / (max(values) or 1)
            bars.append(_bar(x + 1, row * (ROW + GAP) + GAP + ROW - tall, max(width - 3, 1), tall))
        steps.append(Step(one.table_version, _bar(x, 0, width, len(ROWS) * (ROW + GAP), said), tuple(bars)))
    return tuple(steps)


def highest(ingestions: Sequence[Ingestion]) -> tuple[str, ...]:
    """What the highest bar of each row of a timeline stands for."""
    lag = max((_lag(one) for one in ingestions), default=timedelta())
    gaps = max((missing(one) for one in ingestions), default=0.0)
    return duration(lag), f"{max((one.rows for one in ingestions), default=0):,}", f"{gaps:.1%}"


def missing(one: Ingestion) -> float:
    """Share of the features' values of a batch that are missing."""
    return sum(one.nulls.values()) / (one.rows * len(one.nulls)) if one.rows and one.nulls else 0.0


def nulls_of(ingestions: Sequence[Ingestion], column: str) -> list[float]:
    """Share of a column's values that are missing in each batch, oldest first."""
    return [one.nulls.get(column, 0) / one.rows for one in reversed(ingestions) if one.rows]


def _lag(one: Ingestion) -> timedelta:
    newest: datetime = one.last_event or one.at
    return max(timedelta(), one.at - newest)


def _bar(x: float, y: float, width: float, height: float, title: str = "", label: str = "") -> Bar:
    return Bar(round(x, 2), round(y, 2), round(width, 2), round(height, 2), title, label)
