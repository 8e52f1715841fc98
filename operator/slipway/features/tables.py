"""Delta tables of feature views: opened, appended to by many writers at once, pinned to a version. The only importer of
`deltalake`.

A commit is one conditional put of the next numbered log entry, so writers that race are told apart by the store and one
of them tries again; whoever dies before its commit leaves files that no version names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from deltalake import ColumnProperties, CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError, TableNotFoundError

from slipway.features.errors import BatchRefused, FeatureError
from slipway.storage import open_store
from slipway.storage.port import Denied, Unavailable
from slipway.storage.sharing import Location, location

_COMMIT_TRIES = 30
_ROWS_PER_GROUP = 256 * 1024


class LostCommit(Unavailable):
    """A commit that could not be put behind those of other writers."""


@dataclass(frozen=True)
class Written:
    """What an append did. `version` is the table's version that has the rows."""

    version: int
    rows: int


@dataclass(frozen=True)
class Totals:
    """Of a table, from its log alone. `rows` is None, and columns are left out, where files have no statistics."""

    rows: int | None = None
    nulls: Mapping[str, int] = field(default_factory=dict)
    highest: Mapping[str, datetime] = field(default_factory=dict)
    """Of columns with times."""


class Table:
    """One Delta table. `locate` gives its location anew each time: credentials may be short-lived."""

    def __init__(self, locate: Callable[[], Location]) -> None:
        self._locate = locate

    def open(self, version: int | None = None) -> DeltaTable | None:
        """The table as of `version` (None: now); None when there is no table yet."""
        place = self._locate()
        with _errors(place.uri):
            try:
                return DeltaTable(place.uri, version=version, storage_options=place.options or None)
            except TableNotFoundError:
                return None

    def create(self, schema: pa.Schema, *, name: str, description: str) -> None:
        """Makes an empty table unless there is one."""
        if self.open() is not None:
            return
        place = self._locate()
        with _errors(place.uri), suppress(CommitFailedError):  # another writer made it first
            DeltaTable.create(
                place.uri,
                schema=schema,
                mode="ignore",
                name=name,
                description=description or None,
                storage_options=place.options or None,
                configuration={"delta.checkpointInterval": "20"},
            )

    def append(self, rows: pa.RecordBatchReader, *, batch_id: str | None = None) -> DeltaTable:
        """Adds `rows` in one commit and gives the table as of it; when reading them fails, nothing is added. New
        columns are added to the table. Raises LostCommit: read the rows again and try again."""
        transactions = [Transaction(app_id=batch_id, version=1)] if batch_id is not None else None
        place = self._locate()
        with _errors(place.uri):
            table = DeltaTable(place.uri, storage_options=place.options or None)
            have = pa.schema(table.schema().to_arrow())
            new_columns = set(rows.schema.names) - set(have.names)
            write_deltalake(
                table,
                _with_nulls(rows, [field for field in have if field.name not in rows.schema.names]),
                mode="append",
                # only when needed: it writes the schema anew, which writers beside this one have to give way to
                schema_mode="merge" if new_columns else None,
                writer_properties=_properties(rows.schema),
                commit_properties=CommitProperties(max_commit_retries=_COMMIT_TRIES, app_transactions=transactions),
            )
            return table

    def version_of(self, batch_id: str) -> int | None:
        """A version that has the batch of that identity; None when there is none."""
        table = self.open()
        if table is None or table.transaction_version(batch_id) is None:
            return None
        return table.version()


def _with_nulls(rows: pa.RecordBatchReader, lacking: list[pa.Field]) -> pa.RecordBatchReader:
    """`rows` with the columns that only the table has: of features that went from the definition, or that came while these rows were on
    their way. The writer refuses rows without them."""
    if not lacking:
        return rows

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            yield pa.RecordBatch.from_arrays(
                [*batch.columns, *(pa.nulls(batch.num_rows, field.type) for field in lacking)], schema=wanted
            )

    wanted = pa.schema([*rows.schema, *lacking])
    return pa.RecordBatchReader.from_batches(wanted, batches())


def _properties(schema: pa.Schema) -> WriterProperties:
    """Dictionaries for text only, where values come again: numbers and times seldom do, and looking for it takes longer
    than writing them."""
    plain = ColumnProperties(dictionary_enabled=False)
    numbers = {field.name: plain for field in schema if not (pa.types.is_string(field.type) or pa.types.is_binary(field.type))}
    return WriterProperties(
        compression="ZSTD", compression_level=1, max_row_group_size=_ROWS_PER_GROUP, column_properties=numbers or None
    )


def external(uri: str) -> Location:
    """Where a table of others lies: ``s3://bucket/folder``, or a folder."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if uri.startswith("s3://"):
        return location(open_store(f"s3://{bucket}"), key)
    return Location(uri.removeprefix("file://"))


def widened(table: DeltaTable, wanted: pa.Schema) -> pa.Schema:
    """The table's own schema with the wanted columns that it does not have yet."""
    have = pa.schema(table.schema().to_arrow())
    return pa.schema([*have, *(field for field in wanted if field.name not in have.names)])


def dataset(table: DeltaTable) -> Any:
    """The table as an Arrow data set, which DuckDB reads with its filters and columns pushed down."""
    return table.to_pyarrow_dataset(as_large_types=False)


def part(whole: Any, fragments: list[Any]) -> Any:
    """The data set of some of the files of another."""
    return pads.FileSystemDataset(fragments, whole.schema, whole.format, whole.filesystem)


def row_count(table: DeltaTable) -> int:
    """Rows of the table, from its log alone."""
    actions = pa.table(table.get_add_actions(flatten=True))
    return sum(actions["num_records"].to_pylist()) if actions.num_rows else 0


def totals(table: DeltaTable) -> Totals:
    """What the log tells of the table's columns."""
    actions = pa.table(table.get_add_actions(flatten=True))
    if not actions.num_rows:
        return Totals(0)
    whole = {name: actions[name] for name in actions.column_names if not actions[name].null_count}
    nulls, highest = {}, {}
    for name, column in whole.items():
        kind, _, of = name.partition(".")
        if kind == "null_count":
            nulls[of] = int(pc.sum(column).as_py())
        elif kind == "max" and pa.types.is_timestamp(column.type) and column.type.tz is not None:
            highest[of] = pc.max(column).as_py()
    return Totals(int(pc.sum(whole["num_records"]).as_py()) if "num_records" in whole else None, nulls, highest)


@contextmanager
def _errors(uri: str) -> Iterator[None]:
    """The library's errors as ours. Its store errors have no types: their words have to do."""
    try:
        yield
    except (SchemaMismatchError, CommitFailedError) as error:
        if isinstance(error, CommitFailedError):
            raise LostCommit(f"{uri}: commits were lost to other writers; try again") from error
        raise BatchRefused(f"{uri}: {error}") from error
    except DeltaError as error:
        words = str(error)
        if any(word in words for word in ("403", "AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch")):
            raise Denied(f"{uri}: the store refused: {_short(words)}") from error
        if (at := words.find("Error performing")) >= 0:  # "Failed to parse parquet" stands before it when rows were being written
            raise Unavailable(f"{uri}: the store does not answer: {_short(words[at:])}") from error
        raise FeatureError(f"{uri}: {_short(words)}") from error
    except OSError as error:
        words = str(error)
        if "403" in words or "AccessDenied" in words:
            raise Denied(f"{uri}: the store refused: {_short(words)}") from error
        raise Unavailable(f"{uri}: the store does not answer: {_short(words)}") from error


def _short(words: str) -> str:
    return " ".join(words.split())[:500]
