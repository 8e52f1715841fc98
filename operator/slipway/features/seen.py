"""What a batch has said so far, and what a table says already: told apart in DuckDB, which goes to disk when it must."""

from __future__ import annotations

from typing import Any

import numpy
import pyarrow as pa

from slipway.features import batches
from slipway.features.definitions import FeatureView
from slipway.features.engine import connection
from slipway.features.errors import BadRow
from slipway.features.join import quoted

_HASH = "_slipway_hash"
_SORTED = 16_000_000
"""Hashes that are sorted at a time, in memory."""


class Seen:
    """Keys and times of a batch's rows. Two rows for the same entity and times: which of them holds could not be told."""

    def __init__(self, view: FeatureView) -> None:
        self._by = [*view.keys, *view.times]
        self._columns = ", ".join(quoted(name) for name in self._by)
        self._rows = 0
        self._connection = connection()

    def __enter__(self) -> Seen:
        self._duck, _ = self._connection.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._connection.__exit__(*error)

    def add(self, piece: pa.Table) -> None:
        """The next rows, in order."""
        self._duck.register("piece", piece.select(self._by))
        source = f"SELECT {self._columns}, {_hash_of(self._columns)} AS {_HASH} FROM piece"
        self._duck.execute(f"INSERT INTO seen {source}" if self._rows else f"CREATE TABLE seen AS {source}")
        self._duck.unregister("piece")
        self._rows += piece.num_rows

    def find_duplicates(self, findings: batches.Findings) -> None:
        """Adds every later row of those that say the same to `findings`."""
        if not self._rows:
            return
        suspects = [value for part in range(-(-self._rows // _SORTED)) for value in self._again(part, -(-self._rows // _SORTED))]
        if not suspects:
            return
        self._duck.register("suspects", pa.table({"h": pa.array(suspects, pa.uint64())}))
        first = f"min(rowid) OVER (PARTITION BY {self._columns})"
        found = f"SELECT rowid AS n, {first} AS first FROM seen WHERE {_HASH} IN (SELECT h FROM suspects) QUALIFY n > first ORDER BY n"
        count = self._duck.execute(f"SELECT count(*) FROM ({found})").fetchall()[0][0]
        findings.count += count
        words = ", ".join(self._by)
        for row, same in self._duck.execute(f"{found} LIMIT {batches.MAX_BAD}").fetchall():
            findings.rows.append(BadRow(row, words, f"the same as in row {same}"))

    def _again(self, part: int, parts: int) -> list[int]:
        """Hashes that are there more than once, of one in `parts` of all. As a rule there are none, and sorting these
        narrow numbers tells it much sooner than grouping by them does."""
        some = f"SELECT {_HASH} FROM seen" + (f" WHERE {_HASH} % {parts} = {part}" if parts > 1 else "")
        hashes = self._duck.execute(some).fetchnumpy()[_HASH]
        hashes.sort()
        again: list[int] = numpy.unique(hashes[1:][hashes[1:] == hashes[:-1]]).tolist()
        return again


def _hash_of(columns: str) -> str:
    return f"hash({columns})"


def news(view: FeatureView, held: Any, rows: pa.Table) -> pa.Table:
    """Those of `rows` that say something else than what holds, by the data set `held`, for their entity and event time."""
    keys = [quoted(name) for name in (*view.keys, view.event_time)]
    values = [quoted(name) for name in view.feature_names]
    created = quoted(view.created_time) if view.created_time else batches.INGESTED
    there = (
        f"SELECT {', '.join([*keys, *values])}, true AS there FROM history SEMI JOIN given USING ({', '.join(keys)}) "
        f"QUALIFY row_number() OVER (PARTITION BY {', '.join(keys)} ORDER BY {created} DESC, {batches.INGESTED} DESC, {batches.ROW} DESC) = 1"
    )
    differs = " OR ".join(f"g.{value} IS DISTINCT FROM h.{value}" for value in values)
    on = " AND ".join(f"g.{key} = h.{key}" for key in keys)
    with connection() as (duck, _):
        duck.register("history", held)
        duck.register("given", rows.append_column(batches.ROW, pa.array(numpy.arange(rows.num_rows, dtype="int64"))))
        new = duck.sql(
            f"WITH h AS ({there}) SELECT g.{batches.ROW} FROM given g LEFT JOIN h ON {on} WHERE h.there IS NULL OR {differs} ORDER BY 1"
        ).to_arrow_table()
    return rows.take(new.column(0))
