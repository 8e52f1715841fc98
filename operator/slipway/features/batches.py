"""A batch of rows held against a feature view's definition, before anything is written. Arrow in, Arrow out; no I/O.

A batch is taken whole or not at all. What is wrong is told by row, and by column where the whole column does not fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

import numpy
import pyarrow as pa
import pyarrow.compute as pc

from slipway.features.definitions import LIST, FeatureView
from slipway.features.errors import BadRow, BatchRefused

MAX_BAD = 1000
"""Bad rows that are told; all are counted."""
FUTURE = timedelta(minutes=5)
"""How far a time may lie ahead of the clock: clocks differ by that much."""
INGESTED = "_slipway_ingested"
ROW = "_slipway_row"
"""Slipway's own columns: when a row was written, and its place in its batch."""
TIME = pa.timestamp("us", "UTC")

_ARROW: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": TIME,
    "binary": pa.binary(),
}


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a definition's type."""
    listed = LIST.fullmatch(name)
    return pa.list_(_ARROW[listed.group(1)]) if listed else _ARROW[name]


def schema(view: FeatureView) -> pa.Schema:
    """What a row of `view` is made of, without Slipway's own columns. Keys and times are never null."""
    keys = [pa.field(entity.name, arrow_type(entity.type), nullable=False) for entity in view.entities]
    times = [pa.field(name, TIME, nullable=False) for name in view.times]
    return pa.schema([*keys, *times, *(pa.field(feature.name, arrow_type(feature.type)) for feature in view.features)])


def table_schema(view: FeatureView) -> pa.Schema:
    """`schema` with Slipway's own columns. Whether keys are null is checked here and not by the table, whose columns
    other engines may read more easily without."""
    fields = [*schema(view), pa.field(INGESTED, TIME), pa.field(ROW, pa.int64())]
    return pa.schema([field.with_nullable(True) for field in fields])


@dataclass
class Findings:
    """Bad rows so far. `first` is added to the number of a row that is noted."""

    rows: list[BadRow]
    count: int = 0
    first: int = 0

    def add(self, mask: pa.ChunkedArray | pa.Array, column: str, reason: str, values: Any = None) -> None:
        """Notes the rows where `mask` is true; `reason` may hold ``{value}``."""
        found = pc.indices_nonzero(pc.fill_null(mask, False))
        self.count += len(found)
        for index in found.to_pylist()[: max(0, MAX_BAD - len(self.rows))]:
            value = "" if values is None else _shown(values[index])
            self.rows.append(BadRow(self.first + index, column, reason.format(value=value)))

    def add_row(self, row: int, column: str, reason: str) -> None:
        """Notes one row."""
        self.count += 1
        if len(self.rows) < MAX_BAD:
            self.rows.append(BadRow(self.first + row, column, reason))


def _shown(value: Any) -> str:
    plain = value.as_py()
    return (plain.isoformat() if isinstance(plain, datetime) else repr(plain))[:60]


def fit(
    view: FeatureView, piece: pa.Table, findings: Findings, *, now: datetime, first: int = 0, time_zone: str | None = None
) -> pa.Table | None:
    """`piece` with the columns and types of `schema(view)`, in its order; None when some column could not be made, and
    then `findings` say why. `first` is the number of its first row in the batch; `time_zone` says of which zone times
    without one are. Raises BatchRefused when a whole column does not fit."""
    check_columns(view, piece.column_names)
    findings.first = first
    wanted = schema(view)
    columns = {field.name: _column(piece[field.name], field, findings, time_zone) for field in wanted}
    for name in (*view.keys, *view.times):
        given = piece[name]
        if given.null_count or pa.types.is_floating(given.type):
            findings.add(given.is_null(nan_is_null=True), name, "is missing")
    for name in view.times:
        found = columns[name]
        if found is not None and len(found) and (latest := pc.max(found).as_py()) is not None and latest > now + FUTURE:
            late = pc.greater(found, pa.scalar(now + FUTURE, TIME))
            findings.add(late, name, "{value} lies in the future", found)
    made = [columns[field.name] for field in wanted]
    if any(column is None for column in made):
        return None
    return pa.table(made, schema=pa.schema([field.with_nullable(True) for field in wanted]))


def stamp(rows: pa.Table, at: datetime, *, first: int = 0) -> pa.Table:
    """`rows` with Slipway's own columns; `first` is the number of the first of them."""
    stamped = rows.append_column(pa.field(INGESTED, TIME), pa.repeat(pa.scalar(at, TIME), rows.num_rows))
    numbers = numpy.arange(first, first + rows.num_rows, dtype="int64")
    return stamped.append_column(pa.field(ROW, pa.int64()), pa.array(numbers))


def check_columns(view: FeatureView, given: Sequence[str]) -> None:
    """Raises BatchRefused unless `given` are the columns of a row, in any order."""
    twice = sorted({name for name in given if given.count(name) > 1})
    if twice:
        raise BatchRefused(f"{view.name}: column {twice[0]} is there twice")
    unknown = [name for name in given if name not in view.columns]
    missing = [name for name in view.columns if name not in given]
    if not unknown and not missing:
        return
    words = []
    if missing:
        words.append(f"column {', '.join(missing[:5])} is missing" if len(missing) < 6 else f"{len(missing)} columns are missing")
    if unknown:
        close = get_close_matches(unknown[0], missing or view.columns, n=1)
        hint = f" (renamed from {close[0]}?)" if close else ""
        words.append(f"column {', '.join(unknown[:5])} is not in the definition{hint}")
    raise BatchRefused(f"{view.name}: {'; '.join(words)}; the definition has {', '.join(view.columns[:20])}")


def _column(given: pa.ChunkedArray, field: pa.Field, findings: Findings, time_zone: str | None) -> pa.ChunkedArray | None:
    """`given` as the field's type. None when it could not be made; then the findings say why."""
    if pa.types.is_null(given.type):
        return pa.chunked_array([pa.nulls(len(given), field.type)])
    if pa.types.is_dictionary(given.type):
        given = given.cast(given.type.value_type)
    if field.type == TIME:
        return _times(given, field.name, findings, time_zone)
    if problem := _wrong_kind(given.type, field.type):
        findings.add(given.is_valid(), field.name, f"{{value}} is {problem}, not {field.type}", given)
        return None
    if pa.types.is_floating(given.type) and pa.types.is_integer(field.type):
        # what pandas makes of a column of whole numbers with gaps
        given = pc.if_else(pc.is_nan(given), pa.scalar(None, given.type), given)
    try:
        return given.cast(field.type, safe=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        for row, reason in _uncastable(given, field.type):
            findings.add_row(row, field.name, reason)
        return None


def _wrong_kind(given: pa.DataType, wanted: pa.DataType) -> str:
    """Why a value of one type is never taken for another's, although a cast could be made; empty when it may be."""
    text = pa.types.is_string(given) or pa.types.is_large_string(given)
    number = pa.types.is_integer(given) or pa.types.is_floating(given) or pa.types.is_decimal(given)
    if text and not (pa.types.is_string(wanted) or pa.types.is_binary(wanted)):
        return "text"
    if number and (pa.types.is_string(wanted) or pa.types.is_boolean(wanted) or pa.types.is_date(wanted)):
        return "a number"
    if pa.types.is_boolean(given) and not pa.types.is_boolean(wanted):
        return "true or false"
    if pa.types.is_timestamp(given) and not pa.types.is_date(wanted):
        return "a time"
    return ""


def _uncastable(given: pa.ChunkedArray, wanted: pa.DataType) -> Iterator[tuple[int, str]]:
    """Rows that do not fit, found by halving: most of a batch is right."""
    pending = [(0, len(given))]
    found = 0
    while pending and found < MAX_BAD:
        start, end = pending.pop()
        try:
            given.slice(start, end - start).cast(wanted, safe=True)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            if end - start == 1:
                found += 1
                yield start, f"{_shown(given[start])} does not fit into {wanted}"
            else:
                middle = (start + end) // 2
                pending += [(middle, end), (start, middle)]


def _times(given: pa.ChunkedArray, name: str, findings: Findings, time_zone: str | None) -> pa.ChunkedArray | None:
    if not pa.types.is_timestamp(given.type):
        findings.add(given.is_valid(), name, f"{{value}} is {given.type}, not a time; parse it first", given)
        return None
    if given.type.tz is None:
        if time_zone is None:
            findings.add(given.is_valid(), name, "{value} has no time zone: convert it to UTC, or say which zone it is of", given)
            return None
        try:
            given = pc.assume_timezone(given, time_zone, ambiguous="raise", nonexistent="raise")
        except (pa.ArrowInvalid, KeyError) as error:
            raise BatchRefused(f"{name}: times in zone {time_zone}: {error}") from error
    try:
        return given.cast(TIME, safe=False)
    except pa.ArrowInvalid as error:
        raise BatchRefused(f"{name}: {error}") from error
