"""What of a view's table is new to an online store, and the newest row of each entity of that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from slipway.features import tables
from slipway.features.batches import INGESTED, ROW
from slipway.features.definitions import FeatureView
from slipway.features.errors import FeatureError
from slipway.features.join import created_column, latest_sql, literal, quoted
from slipway.features.online.arrow import encode_columns, encode_order
from slipway.features.online.layout import from_micros, key_layout, row_layout
from slipway.features.online.port import Rows
from slipway.features.online.state import OnlineState
from slipway.features.tables import Table
from slipway.features.training_set import Wanted
from slipway.storage.port import StorageError

ROWS_AT_ONCE = 32 * 1024


@dataclass(frozen=True)
class Changes:
    """What has to be read: `added` rows, and of the rows of `before` those that became effective or known since."""

    added: Wanted | None
    whole: bool
    before: Wanted | None = None

    @property
    def nothing(self) -> bool:
        """Whether no row has to be read."""
        return self.added is None and self.before is None


class Counted:
    """Pieces, counted while they are read."""

    def __init__(self, pieces: Iterator[Rows]) -> None:
        self._pieces = pieces
        self.rows = 0

    def __iter__(self) -> Iterator[Rows]:
        for piece in self._pieces:
            self.rows += len(piece[0])
            yield piece


def changes(
    want: Wanted, table: Table, version: int | None, state: OnlineState | None, tables_now: dict[str, int], to: datetime
) -> Changes:
    """What of a view came since `state`. `version` is the table's, as `want` reads it; `tables_now` are those of a view over SQL."""
    due = state is not None and state.pending is not None and state.pending <= to
    if state is None:
        return Changes(want, True)
    if want.sql is not None:  # what a row of a source does to the rows of the view, only the SQL knows
        return Changes(want, True) if tables_now != state.tables or due else Changes(None, False)
    if version == state.table_version:
        return Changes(None, False, want if due else None)
    if version is None or (state.table_version or 0) > version:
        return Changes(want, True)
    parts = _added(want, table, state.table_version)
    return Changes(want, True) if parts is None else Changes(parts, False, want if due else None)


def _added(want: Wanted, table: Table, since: int | None) -> Wanted | None:
    """The rows of the files that the table did not have at version `since`; None when that cannot be told, or when files went."""
    if since is None:
        return want
    try:
        before = table.open(since)
    except (FeatureError, StorageError):  # the log is kept for some weeks
        return None
    if before is None:
        return None
    there = set(before.to_pyarrow_dataset().files)
    now = list(want.rows.get_fragments())
    if there - {fragment.path for fragment in now}:
        return None
    return Wanted(want.chosen, tables.part(want.rows, [fragment for fragment in now if fragment.path not in there]))


def next_turn(view: FeatureView, found: Changes, state: OnlineState | None, to: datetime) -> datetime | None:
    """When the first of the rows that have been read, but lie in the future, becomes effective and known; None: there is none."""
    turns = [] if state is None or found.whole or found.before is not None else [state.pending]
    turn = _turn(view)
    for want in (found.added, found.before):
        if want is not None:
            with want.relation() as duck:
                micros = duck.execute(f"SELECT epoch_us(min({turn})) FROM history WHERE {turn} > {literal(to)}").fetchall()[0][0]
            turns.append(None if micros is None else from_micros(micros))
    return min((time for time in turns if time is not None), default=None)


def newest_rows(view: FeatureView, found: Changes, since: datetime | None, to: datetime) -> Iterator[Rows]:
    """The newest row of each entity among the changes, in pieces."""
    columns = [*view.keys, *view.times, *view.feature_names, INGESTED, ROW]
    read = [(found.added, "history")]
    if since is not None:
        read.append((found.before, f"(SELECT * FROM history WHERE {_turn(view)} > {literal(since)})"))
    for want, relation in read:
        if want is not None:
            with want.relation() as duck:
                for batch in duck.sql(latest_sql(view, relation, to, to, columns)).to_arrow_reader(ROWS_AT_ONCE):
                    yield _encoded(view, batch)


def _turn(view: FeatureView) -> str:
    """From when a row is effective and known."""
    return f"greatest({quoted(view.event_time)}, {created_column(view)})"


def _encoded(view: FeatureView, batch: pa.RecordBatch) -> Rows:
    """Keys and rows; the same bytes whatever types DuckDB gave."""
    column: Any = batch.column
    names = batch.schema.names
    at = {name: number for number, name in enumerate(names)}
    times = [column(at[view.event_time]), column(at[view.created_time or INGESTED]), column(at[INGESTED])]
    orders = encode_order([time.cast(pa.timestamp("us", "UTC")) for time in times], column(at[ROW]))
    values = encode_columns(row_layout(view), [column(at[name]) for name in view.feature_names])
    keys = encode_columns(key_layout(view), [column(at[name]) for name in view.keys])
    return keys, [order + value for order, value in zip(orders, values, strict=True)]
