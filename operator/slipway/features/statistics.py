"""What a column looks like: counts, quantiles, a histogram. Reference for drift, and what the web page draws."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa

from slipway.features.engine import connection
from slipway.features.join import quoted
from slipway.features.records import ColumnStatistics

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
BINS = 20
TOP = 20
_TEXT = 200


def describe(rows: Any) -> tuple[ColumnStatistics, ...]:
    """Statistics of each column of `rows`, an Arrow table or data set. NaN and infinities count as null."""
    with connection() as (duck, _):
        duck.register("described", rows)
        return tuple(_column(duck, "described", field) for field in rows.schema)


def _column(duck: Any, relation: str, field: pa.Field) -> ColumnStatistics:
    name, kind = quoted(field.name), field.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    value = f"{name}::DOUBLE" if numeric else name
    source = f"(SELECT {f'CASE WHEN isfinite({value}) THEN {value} END' if numeric else value} AS v FROM {relation})"
    rows, known, distinct = _one(duck, f"SELECT count(*), count(v), approx_count_distinct(v) FROM {source}")
    common = {"name": field.name, "type": str(kind), "rows": rows, "nulls": rows - known, "distinct": distinct}
    if not known:
        return ColumnStatistics(**common)
    if numeric:
        return ColumnStatistics(**common, **_numbers(duck, source))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_binary(kind):
        return ColumnStatistics(**common)
    low, high = _one(duck, f"SELECT min(v)::VARCHAR, max(v)::VARCHAR FROM {source}")
    top = duck.execute(
        f"SELECT v::VARCHAR AS v, count(*) AS n FROM {source} WHERE v IS NOT NULL GROUP BY v ORDER BY n DESC, v LIMIT {TOP}"
    ).fetchall()
    return ColumnStatistics(**common, min=low[:_TEXT], max=high[:_TEXT], top=tuple((str(v)[:_TEXT], n) for v, n in top))


def _numbers(duck: Any, source: str) -> dict[str, Any]:
    levels = ", ".join(str(level) for level in QUANTILES)
    query = f"SELECT min(v), max(v), avg(v), coalesce(stddev_samp(v), 0), quantile_cont(v, [{levels}]) FROM {source}"
    low, high, mean, deviation, quantiles = _one(duck, query)
    width = (high - low) / BINS
    edges = [low + width * number for number in range(BINS)] + [high]
    if not width or not math.isfinite(width):
        counts = [_one(duck, f"SELECT count(v) FROM {source}")[0]]
        edges = [low, high]
    else:
        bucket = f"least({BINS - 1}, floor((v - {low!r}::DOUBLE) / {width!r}::DOUBLE)::INT)"
        found = dict(duck.execute(f"SELECT {bucket} AS b, count(v) FROM {source} WHERE v IS NOT NULL GROUP BY b").fetchall())
        counts = [found.get(number, 0) for number in range(BINS)]
    return {
        "min": low,
        "max": high,
        "mean": mean,
        "deviation": deviation,
        "quantiles": tuple(quantiles),
        "edges": tuple(edges),
        "counts": tuple(counts),
    }


def _one(duck: Any, query: str) -> tuple[Any, ...]:
    found: tuple[Any, ...] = duck.execute(query).fetchone()
    return found
