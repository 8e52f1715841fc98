"""A training set: entity rows in, the same rows with their features as of their times out, as one Parquet file.

Nothing is held in memory whole: entity rows and each view's part pass through files that DuckDB sorts beyond its limit on
disk, and the parts are put side by side row by row, in the order in which the entity rows came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from slipway.features.batches import TIME, arrow_type
from slipway.features.definitions import FeatureView
from slipway.features.engine import connection
from slipway.features.errors import InvalidRequest
from slipway.features.join import AT, ENTITIES, ROW_ID, AsOf, Chosen, join_sql, quoted

ROWS_PER_GROUP = 128 * 1024
"""Fixed, so that the same rows give the same bytes."""


@dataclass(frozen=True)
class Wanted:
    """Features of one view that are to be joined, and the rows to take them from: an Arrow data set or table."""

    chosen: Chosen
    rows: Any
    sql: str | None = None
    """With `sources`: the view is this SELECT over them."""
    sources: Mapping[str, Any] = field(default_factory=dict)

    @contextmanager
    def relation(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection in which the view's rows are the relation ``history``. Raises InvalidRequest."""
        with connection() as (duck, _):
            _register(duck, self)
            yield duck


@dataclass(frozen=True)
class Joined:
    """A training set on disk."""

    path: Path
    rows: int
    schema: pa.Schema


@contextmanager
def join(
    entities: Any,
    wanted: Sequence[Wanted],
    *,
    time: str,
    as_of: AsOf,
    memory_bytes: int | None = None,
    threads: int | None = None,
) -> Iterator[Joined]:
    """Joins `wanted` to `entities` (an Arrow table, data set or reader, or a pandas frame), whose column `time` has the
    time of each row. The file is there until the context ends. Raises InvalidRequest."""
    with connection(memory_bytes=memory_bytes, threads=threads) as (duck, folder):
        schema = _write_entities(duck, entities, wanted, time, folder)
        bounds = _bounds(duck, time)
        parts = []
        for number, want in enumerate(wanted):
            _register(duck, want)
            part = folder / f"part-{number}.parquet"
            if bounds is None:
                duck.execute(f"COPY ({_nothing(want)}) TO '{part}' (FORMAT parquet)")
            else:
                sql = join_sql(want.chosen, "history", as_of, bounds=bounds)
                duck.execute(f"COPY ({sql}) TO '{part}' (FORMAT parquet, COMPRESSION lz4_raw)")
            parts.append(part)
        result = _side_by_side(duck, schema, wanted, parts, folder)
        yield Joined(result, pq.read_metadata(result).num_rows, pq.read_schema(result))


def _write_entities(
    duck: duckdb.DuckDBPyConnection, entities: Any, wanted: Sequence[Wanted], time: str, folder: Path
) -> pa.Schema:
    """Entity rows to a file, numbered, and the narrow relation of them that the joins use."""
    schema = pa.Schema.from_pandas(entities, preserve_index=False) if hasattr(entities, "iloc") else entities.schema
    _check_entities(schema, wanted, time)
    path = folder / "entities.parquet"
    duck.register("given", pa.Table.from_pandas(entities, preserve_index=False) if hasattr(entities, "iloc") else entities)
    columns = ", ".join(quoted(name) for name in schema.names)
    numbered = f"SELECT row_number() OVER () - 1 AS {ROW_ID}, {columns} FROM given"
    duck.execute(f"COPY ({numbered}) TO '{path}' (FORMAT parquet, COMPRESSION lz4_raw)")
    duck.unregister("given")
    keys = sorted({column for want in wanted for _, column in want.chosen.keys})
    narrow = ", ".join([ROW_ID, f"{_micros(schema, time)} AS {AT}", *(quoted(key) for key in keys if key != time)])
    duck.execute(f"CREATE VIEW all_entities AS SELECT * FROM read_parquet('{path}')")
    duck.execute(f"CREATE VIEW {ENTITIES} AS SELECT {narrow} FROM all_entities")
    return schema


def _micros(schema: pa.Schema, time: str) -> str:
    """The entity rows' time in microseconds, as rows' times are kept: cut off and never rounded up, which would let a row
    of the next microsecond leak into the past."""
    return f"date_trunc('microsecond', {quoted(time)})" if schema.field(time).type.unit == "ns" else quoted(time)


def _check_entities(schema: pa.Schema, wanted: Sequence[Wanted], time: str) -> None:
    names = schema.names
    has = f"the entity rows have {', '.join(names[:20]) or 'no columns'}"
    if time not in names:
        raise InvalidRequest(f"time: there is no column {time!r}; {has}")
    kind = schema.field(time).type
    if not pa.types.is_timestamp(kind):
        raise InvalidRequest(f"time: column {time} is {kind}, not a time; parse it first")
    if kind.tz is None:
        raise InvalidRequest(f"time: column {time} has no time zone: convert it to UTC, or say which zone it is of")
    taken = set(names)
    for want in wanted:
        types = {entity.name: entity.type for entity in want.chosen.view.entities}
        for key, column in want.chosen.keys:
            if column not in names:
                raise InvalidRequest(
                    f"{want.chosen.view.name}: entity key {key} is not among the entity rows; {has}. "
                    f"If it has another name there, say keys={{'{key}': 'column'}}"
                )
            if not _comparable(schema.field(column).type, arrow_type(types[key])):
                raise InvalidRequest(
                    f"{want.chosen.view.name}: column {column} is {schema.field(column).type}, the entity key {types[key]}"
                )
        for feature, column in want.chosen.names:
            if column in taken:
                raise InvalidRequest(
                    f"{want.chosen.view.name}: column {column} would be there twice (feature {feature}): say full_names=True"
                )
            taken.add(column)


def _comparable(given: pa.DataType, key: pa.DataType) -> bool:
    """Whether values of both types are equal when they look equal."""
    text = (pa.types.is_string(given) or pa.types.is_large_string(given), pa.types.is_string(key))
    if pa.types.is_dictionary(given):
        return _comparable(given.value_type, key)
    return (pa.types.is_integer(given) and pa.types.is_integer(key)) or all(text) or given == key


def _bounds(duck: duckdb.DuckDBPyConnection, time: str) -> tuple[datetime, datetime] | None:
    """Earliest and latest time of the entity rows; None when there are none. Raises InvalidRequest for rows without."""
    nulls, first, low, high = duck.execute(
        f"SELECT count(*) - count({AT}), min(CASE WHEN {AT} IS NULL THEN {ROW_ID} END), epoch_us(min({AT})), epoch_us(max({AT})) FROM {ENTITIES}"
    ).fetchall()[0]
    if nulls:
        raise InvalidRequest(f"time: {nulls} rows have no {time}, the first of them row {first}: features as of when?")
    if low is None:
        return None
    return tuple(datetime.fromtimestamp(value // 1_000_000, UTC).replace(microsecond=value % 1_000_000) for value in (low, high))  # type: ignore[return-value]


def _register(duck: duckdb.DuckDBPyConnection, want: Wanted) -> None:
    """Makes the view's rows the relation ``history``."""
    if want.sql is None:
        duck.register("history", want.rows)
        return
    for name, rows in want.sources.items():
        duck.register(name, rows)
    try:
        duck.execute(f"CREATE OR REPLACE TEMP VIEW history AS {want.sql}")
    except duckdb.Error as error:
        raise InvalidRequest(f"{want.chosen.view.name}: source.sql: {error}") from error


def _nothing(want: Wanted) -> str:
    columns = ", ".join(f"{quoted(feature)} AS {quoted(column)}" for feature, column in want.chosen.names)
    return f"SELECT 0::BIGINT AS {ROW_ID}, {columns} FROM history WHERE false"


def _side_by_side(
    duck: duckdb.DuckDBPyConnection, schema: pa.Schema, wanted: Sequence[Wanted], parts: Sequence[Path], folder: Path
) -> Path:
    fields = [pa.field(field.name, _plain(field.type)) for field in schema]
    columns = [f"e.{quoted(name)}" for name in schema.names]
    source = "all_entities e"
    for number, want in enumerate(wanted):
        source += f" POSITIONAL JOIN read_parquet('{parts[number]}') p{number}"
        types = _types(want.chosen.view)
        for feature, column in want.chosen.names:
            fields.append(pa.field(column, types[feature]))
            columns.append(f"p{number}.{quoted(column)}")
    target = pa.schema(fields)
    path = folder / "training-set.parquet"
    reader = duck.sql(f"SELECT {', '.join(columns)} FROM {source}").to_arrow_reader(ROWS_PER_GROUP)
    # dictionaries for what comes again; for measurements they take longer than all the rest of writing them
    again = [field.name for field in target if not pa.types.is_floating(field.type)]
    with pq.ParquetWriter(path, target, compression="zstd", use_dictionary=again) as writer:
        for group in _groups(reader):
            writer.write_table(group.cast(target, safe=False), row_group_size=ROWS_PER_GROUP)
    return path


def _groups(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """The reader's rows in tables of `ROWS_PER_GROUP`, however its batches fall."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader:
        while rows + batch.num_rows >= ROWS_PER_GROUP:
            taken = ROWS_PER_GROUP - rows
            yield pa.Table.from_batches([*waiting, batch.slice(0, taken)])
            waiting, rows, batch = [], 0, batch.slice(taken)
        if batch.num_rows:
            waiting.append(batch)
            rows += batch.num_rows
    if waiting:
        yield pa.Table.from_batches(waiting)


def _types(view: FeatureView) -> dict[str, pa.DataType]:
    return {feature.name: arrow_type(feature.type) for feature in view.features}


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return TIME if kind.tz is not None else pa.timestamp("us")
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_large_string(kind):
        return pa.string()
    return kind
