"""Files that others wrote, in which a row may be there several times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from slipway.features.batches import ROW
from slipway.features.definitions import FeatureView
from slipway.features.engine import connection
from slipway.features.join import quoted

_BATCH = 256 * 1024


@contextmanager
def last_of_repeats(view: FeatureView, rows: pa.RecordBatchReader) -> Iterator[tuple[pa.RecordBatchReader, int]]:
    """Of `rows` for the same entity and times the last one by `ROW`, their place; in the order of event times, without that
    place, and their number. DuckDB goes to disk for what is larger than memory."""
    by = ", ".join(quoted(name) for name in (*view.keys, *view.times))
    columns = ", ".join(quoted(name) for name in view.columns)
    with connection() as (duck, _):
        duck.register("given", rows)
        latest = f"row_number() OVER (PARTITION BY {by} ORDER BY {ROW} DESC) = 1"
        in_order = f"ORDER BY {quoted(view.event_time)}, {ROW}"
        duck.execute(f"CREATE TABLE kept AS SELECT {columns} FROM given QUALIFY {latest} {in_order}")
        count = duck.execute("SELECT count(*) FROM kept").fetchall()[0][0]
        yield duck.sql("SELECT * FROM kept").to_arrow_reader(_BATCH), count
