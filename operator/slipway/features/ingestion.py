"""Rows into a view's table: checked piece by piece while the pieces before are written, committed once, or not at all.

Nothing is held in memory whole. A piece is checked in one thread while another writes the piece before it, and what was
written becomes part of the table by one commit at the end, which a finding in the last row still prevents.
"""

from __future__ import annotations

import queue
import random
import threading
import time as clock
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from slipway.features import batches, tables
from slipway.features.definitions import FeatureView
from slipway.features.errors import BatchRefused, InvalidRequest
from slipway.features.seen import Seen, news
from slipway.features.summary import Summary
from slipway.features.tables import LostCommit, Table, Written

ROWS_PER_PIECE = 256 * 1024
AHEAD = 2
"""Pieces that are checked before the writer asks for them."""
_TRIES = 8
"""Times that a batch is written again when another writer changed the table's columns meanwhile."""


@dataclass(frozen=True)
class Rows:
    """Rows to take in. `again` says whether `read` may be called more than once."""

    schema: pa.Schema
    read: Callable[[], Iterator[pa.Table]]
    again: bool


def rows_of(batch: Any) -> Rows:
    """A pandas frame, an Arrow table, batch, reader or data set, or what has ``__arrow_c_stream__``, in pieces. Raises
    InvalidRequest."""
    if isinstance(batch, pads.Dataset):
        return Rows(
            batch.schema, lambda: map(_table, batch.scanner(batch_size=ROWS_PER_PIECE, batch_readahead=AHEAD).to_reader()), True
        )
    if hasattr(batch, "iloc"):
        batch = pa.Table.from_pandas(batch, preserve_index=False)
    if isinstance(batch, pa.RecordBatch):
        batch = _table(batch)
    if isinstance(batch, pa.Table):
        starts = range(0, batch.num_rows, ROWS_PER_PIECE)
        return Rows(batch.schema, lambda: (batch.slice(start, ROWS_PER_PIECE) for start in starts), True)
    if hasattr(batch, "__arrow_c_stream__"):
        reader = pa.RecordBatchReader.from_stream(batch)
        return Rows(reader.schema, lambda: map(_table, reader), False)
    raise InvalidRequest(f"a pandas frame or an Arrow table belongs here, not {type(batch).__name__}")


def _table(batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([batch])


def ingest(
    view: FeatureView,
    table: Table,
    rows: Rows,
    *,
    title: str,
    now: datetime,
    upsert: bool = False,
    time_zone: str | None = None,
    batch_id: str | None = None,
    summary: Summary | None = None,
) -> Written:
    """Appends `rows` to `table` in one commit. With `upsert` only those that say something new; with a `batch_id` only
    once. `summary` takes notice of what is written. Raises BatchRefused when any row does not fit; Unavailable when other
    writers change the table all the time."""
    for attempt in range(_TRIES):
        if batch_id is not None and (known := table.version_of(batch_id)) is not None:
            return Written(known, 0)
        try:
            return _once(view, table, rows, title, now, upsert, time_zone, batch_id, summary or Summary(view))
        except LostCommit:
            if attempt == _TRIES - 1 or not rows.again:
                raise
        clock.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311
    raise AssertionError("unreachable")


def _once(
    view: FeatureView,
    table: Table,
    rows: Rows,
    title: str,
    now: datetime,
    upsert: bool,
    time_zone: str | None,
    batch_id: str | None,
    summary: Summary,
) -> Written:
    summary.clear()
    present = table.open()
    held = tables.dataset(present) if upsert and present is not None else None
    with Ahead(checked(view, rows, now=now, held=held, time_zone=time_zone)) as pieces:
        first = next(pieces, None)
        if first is None:
            return Written(present.version() if present else -1, 0)
        table.create(batches.table_schema(view), name=title, description=view.description)
        stream = _Stream(first, pieces, summary)
        reader = pa.RecordBatchReader.from_batches(batches.stamp(first.slice(0, 0), now).schema, stream.batches(now))
        try:
            written = table.append(reader, batch_id=batch_id)
        except Exception:
            if stream.failure is not None:  # what Arrow and Delta Lake make of it has lost its rows and reasons
                raise stream.failure from None
            raise
        summary.table = written
        return Written(int(written.version()), stream.rows)


def checked(
    view: FeatureView, rows: Rows, *, now: datetime, held: Any | None = None, time_zone: str | None = None
) -> Iterator[pa.Table]:
    """The pieces, each with the definition's columns and types; with `held`, the data set of what is there already, only
    rows that say something else. Once something is found, the rest is only looked at, and BatchRefused comes at the end."""
    batches.check_columns(view, rows.schema.names)
    with Seen(view) as seen:
        yield from _pieces(view, rows, seen, held, now, time_zone)


def _pieces(
    view: FeatureView, rows: Rows, seen: Seen, held: Any | None, now: datetime, time_zone: str | None
) -> Iterator[pa.Table]:
    findings = batches.Findings([])
    count = 0
    for piece in rows.read():
        fitting = batches.fit(view, piece, findings, first=count, now=now, time_zone=time_zone)
        count += piece.num_rows
        if fitting is None or findings.count:
            continue
        seen.add(fitting)
        new = fitting if held is None else news(view, held, fitting)
        if new.num_rows:
            yield new
    if not findings.count:
        seen.find_duplicates(findings)
    if findings.count:
        told = sorted(findings.rows, key=lambda row: row.row)
        raise BatchRefused(f"{view.name}: {findings.count} findings in {count} rows, none was written", told, findings.count)


@dataclass
class _Stream:
    """What the writer reads, counted; `failure` is what stopped it."""

    first: pa.Table
    rest: Iterator[pa.Table]
    summary: Summary
    rows: int = 0
    failure: BaseException | None = None

    def batches(self, now: datetime) -> Iterator[pa.RecordBatch]:
        piece: pa.Table | None = self.first
        while piece is not None:
            stamped = batches.stamp(piece, now, first=self.rows)
            self.rows += piece.num_rows
            self.summary.add(piece)
            yield from stamped.combine_chunks().to_batches()
            try:
                piece = next(self.rest, None)
            except BaseException as failure:
                self.failure = failure
                raise


class Ahead(Iterator[pa.Table]):
    """`source`, read in a thread of its own, a few pieces before they are asked for. Its errors are raised to who asks."""

    def __init__(self, source: Iterator[pa.Table]) -> None:
        self._source = source
        self._ready: queue.Queue[tuple[pa.Table | None, BaseException | None]] = queue.Queue(AHEAD)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, name="slipway-ingest", daemon=True)

    @property
    def running(self) -> bool:
        """Whether the thread is there."""
        return self._thread.is_alive()

    def __enter__(self) -> Ahead:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        while self._thread.is_alive():  # it may wait for room
            with suppress(queue.Empty):
                self._ready.get(timeout=0.05)

    def __next__(self) -> pa.Table:
        piece, failure = self._ready.get()
        if failure is not None:
            raise failure
        if piece is None:
            self._ready.put((None, None))  # whoever asks again after the end gets the end again
            raise StopIteration
        return piece

    def _read(self) -> None:
        try:
            with closing(self._source) if isinstance(self._source, Generator) else nullcontext():
                for piece in self._source:
                    if self._stopped.is_set():
                        return
                    self._ready.put((piece, None))
            self._ready.put((None, None))
        except BaseException as failure:  # told to the thread that reads
            self._ready.put((None, failure))
