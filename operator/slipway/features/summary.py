"""What is recorded of an ingestion, gathered while its rows pass: counts of all rows, statistics of an even sample."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from slipway.features.definitions import FeatureView
from slipway.features.records import Ingestion, Revision
from slipway.features.statistics import describe
from slipway.features.tables import Totals, totals

MAX_SAMPLE = 10_000
MAX_COLUMNS = 200


class Summary:
    """Of the rows of one batch. Not thread-safe."""

    def __init__(self, view: FeatureView) -> None:
        self._view = view
        self.table: Any = None
        """The Delta table, as of the version that has the rows."""
        self.clear()

    def clear(self) -> None:
        """Begins anew: the batch is read again."""
        self._rows = 0
        self._nulls = dict.fromkeys(self._view.feature_names, 0)
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._step = 1
        self._sample: list[pa.Table] = []
        self._sampled = 0

    def add(self, piece: pa.Table) -> None:
        """Takes notice of rows that are written, in the definition's columns and types."""
        for name in self._nulls:
            self._nulls[name] += piece[name].null_count
        low, high = pc.min_max(piece[self._view.event_time]).as_py().values()
        self._first = low if self._first is None else min(self._first, low)
        self._last = high if self._last is None else max(self._last, high)
        self._take(piece)
        self._rows += piece.num_rows

    def _take(self, piece: pa.Table) -> None:
        """Every so many rows of all. When they become too many, every second of them is kept from then on."""
        while piece.num_rows // self._step > MAX_SAMPLE:
            self._thin()
        start = -self._rows % self._step
        if start < piece.num_rows:
            columns = piece.select(piece.column_names[:MAX_COLUMNS])
            self._sample.append(columns.take(pa.array(range(start, piece.num_rows, self._step), pa.int64())))
            self._sampled += self._sample[-1].num_rows
        while self._sampled > MAX_SAMPLE:
            self._thin()

    def _thin(self) -> None:
        self._step *= 2
        if self._sample:
            whole = pa.concat_tables(self._sample)
            self._sample = [whole.take(pa.array(range(0, whole.num_rows, 2), pa.int64()))]
            self._sampled = self._sample[0].num_rows

    def ingestion(self, revision: Revision, table_version: int, at: datetime) -> Ingestion:
        """The record of it."""
        found = totals(self.table) if self.table is not None else Totals()
        sample: Any = pa.concat_tables(self._sample) if self._sample else None
        return Ingestion(
            namespace=revision.namespace,
            view=revision.view,
            revision=revision.number,
            definition=revision.digest,
            table_version=table_version,
            at=at,
            rows=self._rows,
            nulls=self._nulls,
            first_event=self._first,
            last_event=self._last,
            table_rows=found.rows,
            table_nulls={name: count for name, count in found.nulls.items() if name in self._nulls},
            newest_event=found.highest.get(self._view.event_time),
            sampled=self._sampled,
            statistics=describe(sample) if sample is not None else (),
        )
