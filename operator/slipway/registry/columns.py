"""What search looks at, by column: some thousand versions of any models in one immutable object.

Layout: one line of JSON (``schemaVersion``, ``rows``, for each column its offset, length and whether it is dense, and the
offset and length of each block), a line feed, then the columns, each a JSON list compressed by zlib, then the blocks. A
sparse column is ``[row numbers, values]``. A block is BLOCK rows as lines of JSON, compressed, so that the few rows that are
shown are had without unpacking all columns; only the columns that are asked for are unpacked. Pure.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from slipway.registry.errors import CorruptRecord
from slipway.registry.records import VersionRecord, canonical_json

LAYOUT = 1
BLOCK = 64
NOT_SHOWN = ("files.digest", "inputs.", "packages.")
"""Fields that are searched for and never shown in a list: blocks go without."""
Row = dict[str, Any]
"""One version's values by field, as `slipway.registry.query` names them; fields without a value are left out."""


def row_of(record: VersionRecord) -> Row:
    """The fields of a version."""
    namespace, _, name = record.model.partition("/")
    source, env = record.source, record.environment
    took = record.finished_at - record.started_at if record.finished_at and record.started_at else None
    row: Row = {
        "model": record.model,
        "namespace": namespace,
        "name": name,
        "version": record.version,
        "created": record.created_at.timestamp(),
        "digest": record.digest,
        "format": record.format,
        "reason": record.reason,
        "builder": record.builder,
        "build": record.build_id,
        "attempt": record.attempt,
        "gates": all(gate.passed for gate in record.gates) if record.gates else None,
        "size": sum(entry.size for entry in record.files),
        "seconds": took.total_seconds() if took else None,
        "source.uri": source.uri if source else None,
        "source.commit": source.commit if source else None,
        "source.digest": source.digest if source else None,
        "inputs.name": [entry.name for entry in record.inputs],
        "inputs.uri": [entry.uri for entry in record.inputs],
        "inputs.digest": [entry.digest for entry in record.inputs],
        "files.digest": sorted({entry.digest for entry in record.every_file()}),
        "python": env.python,
        "image": env.image,
    }
    for prefix, values in (
        ("metrics", record.metrics),
        ("params", record.params),
        ("tags", record.tags),
        ("packages", env.packages),
    ):
        row.update({f"{prefix}.{key}": value for key, value in values.items()})
    return {field: value for field, value in row.items() if value is not None and value != []}


class Segment:
    """Rows by column. `rows` is their number."""

    def __init__(
        self,
        rows: int,
        columns: Mapping[str, Sequence[Any]],
        packed: Mapping[str, tuple[bytes, bool]] = MappingProxyType({}),
        blocks: Sequence[bytes] = (),
    ) -> None:
        self.rows = rows
        self._columns = dict(columns)
        self._packed = packed
        self._blocks = blocks
        self._nothing: list[Any] = [None] * rows

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Segment:
        """A segment of `rows`, in their order."""
        columns: dict[str, list[Any]] = {}
        for number, row in enumerate(rows):
            for field, value in row.items():
                if field not in columns:
                    columns[field] = [None] * len(rows)
                columns[field][number] = value
        return cls(len(rows), columns)

    @classmethod
    def decode(cls, data: bytes, where: str) -> Segment:
        """Raises CorruptRecord for bytes that are no segment of this layout."""
        head, _, body = data.partition(b"\n")
        try:
            header = json.loads(head)
            if header["schemaVersion"] != LAYOUT:
                raise CorruptRecord(f"{where} has layout {header['schemaVersion']}, this Slipway reads {LAYOUT}")
            packed = {name: (body[at : at + length], dense) for name, (at, length, dense) in header["columns"].items()}
            blocks = [body[at : at + length] for at, length in header["blocks"]]
            at, length = header["blocks"][-1] if blocks else (0, 0)
            if at + length > len(body):
                raise CorruptRecord(f"{where} is cut off")
            return cls(int(header["rows"]), {}, packed, blocks)
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptRecord(f"{where} is no index segment: {error}") from error

    def encode(self) -> bytes:
        """The bytes that `decode` reads; the same rows give the same bytes."""
        columns: dict[str, tuple[int, int, bool]] = {}
        blocks: list[tuple[int, int]] = []
        pieces: list[bytes] = []
        at = 0
        for name in self.fields():
            piece, dense = _pack(self.column(name))
            columns[name] = (at, len(piece), dense)
            pieces.append(piece)
            at += len(piece)
        shown = [name for name in self.fields() if not name.startswith(NOT_SHOWN)]
        for first in range(0, self.rows, BLOCK):
            lines = [canonical_json(self._made(n, shown)) for n in range(first, min(first + BLOCK, self.rows))]
            pieces.append(zlib.compress(b"\n".join(lines), 6))
            blocks.append((at, len(pieces[-1])))
            at += len(pieces[-1])
        header = canonical_json({"schemaVersion": LAYOUT, "rows": self.rows, "columns": columns, "blocks": blocks})
        return b"\n".join([header, b"".join(pieces)])

    def fields(self) -> list[str]:
        """All columns that hold a value, sorted."""
        return sorted({*self._columns, *self._packed})

    def column(self, field: str) -> Sequence[Any]:
        """The values of a field, one per row. Raises CorruptRecord."""
        if field not in self._columns:
            if field not in self._packed:
                return self._nothing
            self._columns[field] = _unpack(*self._packed[field], self.rows, field)
        return self._columns[field]

    def row(self, number: int) -> Row:
        """What is shown of one row. Raises CorruptRecord."""
        if not self._blocks:
            return self._made(number, self.fields())
        try:
            lines = zlib.decompress(self._blocks[number // BLOCK]).split(b"\n")
            row: Row = json.loads(lines[number % BLOCK])
        except (ValueError, IndexError, zlib.error) as error:
            raise CorruptRecord(f"row {number} of an index segment cannot be read: {error}") from error
        return row

    def _made(self, number: int, fields: Iterable[str]) -> Row:
        return {field: value for field in fields if (value := self.column(field)[number]) is not None}


def concatenated(segments: Iterable[Segment]) -> Segment:
    """One segment with the rows of all, in their order."""
    parts = list(segments)
    fields = {field for part in parts for field in part.fields()}
    return Segment(
        sum(part.rows for part in parts),
        {field: [value for part in parts for value in part.column(field)] for field in fields},
    )


def _pack(column: Sequence[Any]) -> tuple[bytes, bool]:
    filled = [number for number, value in enumerate(column) if value is not None]
    dense = len(filled) * 2 > len(column)
    value = column if dense else [filled, [column[number] for number in filled]]
    return zlib.compress(canonical_json(value), 6), dense


def _unpack(piece: bytes, dense: bool, rows: int, field: str) -> list[Any]:
    try:
        value = json.loads(zlib.decompress(piece))
        if not dense:
            column: list[Any] = [None] * rows
            for number, one in zip(*value, strict=True):
                column[number] = one
            return column
    except (ValueError, TypeError, IndexError, zlib.error) as error:
        raise CorruptRecord(f"column {field} of an index segment cannot be read: {error}") from error
    if not isinstance(value, list) or len(value) != rows:
        raise CorruptRecord(f"column {field} of an index segment has not the {rows} rows that it says")
    return value
