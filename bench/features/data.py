"""The data of the comparison, the same files for both: histories of ten views, and entity rows. Runs with numpy and pyarrow
alone, of whichever version."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

VIEWS = 10
FEATURES = 4
START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
SPAN = 90 * 86_400 * 1_000_000
"""Ninety days of history, in microseconds."""
TTL_DAYS = 30
TIME = pa.timestamp("us", "UTC")


def feature_names(view: int) -> list[str]:
    """Columns of a view; no two views have one in common."""
    return [f"v{view}_f{number}" for number in range(FEATURES)]


def history(view: int, rows: int, users: int) -> pa.Table:
    """Rows in the order of their event times, as days of data arrive; written up to an hour after they happened. No two
    rows are of the same user and event time, so that there is but one right answer."""
    random = np.random.default_rng(100 + view)
    event = _times(random, rows)
    columns = {
        "user": pa.array(random.integers(0, users, rows), pa.int64()),
        "event_timestamp": pa.array(event, TIME),
        "created": pa.array(event + random.integers(0, 3_600_000_000, rows), TIME),
    }
    return pa.table(columns | {name: pa.array(random.normal(size=rows)) for name in feature_names(view)})


def _times(random: np.random.Generator, rows: int) -> np.ndarray:
    """As many different times within the span, in order."""
    step = SPAN // rows
    return START + np.arange(rows) * step + random.integers(0, step, rows)


def entities(rows: int, users: int) -> pa.Table:
    """Users at times within the span, in no order, and a label."""
    random = np.random.default_rng(7)
    event = random.permutation(_times(random, rows))
    return pa.table(
        {
            "user": pa.array(random.integers(0, users, rows), pa.int64()),
            "event_timestamp": pa.array(event, TIME),
            "label": pa.array(random.integers(0, 2, rows), pa.int64()),
        }
    )


def make(folder: Path, *, entity_rows: int, history_rows: int, users: int, many: int) -> None:
    """Writes ``entities.parquet``, ``view-<n>.parquet``, and ``many.parquet`` with rows to ingest."""
    for view in range(VIEWS):
        pq.write_table(history(view, history_rows, users), folder / f"view-{view}.parquet")
    pq.write_table(entities(entity_rows, users), folder / "entities.parquet")
    pq.write_table(history(0, many, users * 10), folder / "many.parquet")
