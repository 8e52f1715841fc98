"""Arrow batches to the bytes of `slipway.features.online.layout`, a column at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
import pyarrow as pa
import pyarrow.compute as pc

from slipway.features.online.layout import FIXED, Layout, bytes_of

_NUMPY = {"?": "?", "i": "<i4", "q": "<i8", "f": "<f4", "d": "<f8", "I": "<u4"}


def encode_columns(layout: Layout, columns: Sequence[pa.Array]) -> list[bytes]:
    """One row of bytes for each row of `columns`: the same as `Layout.encode` of each."""
    count = len(columns[0]) if columns else 0
    fields: list[tuple[Any, ...]] = [("nulls", "u1", (layout.bitmap,))] if layout.nulls else []
    fields += [(f"f{at}", _NUMPY[FIXED.get(name, "I")]) for at, name in enumerate(layout.types)]
    table = numpy.zeros(count, dtype=numpy.dtype(fields))
    tails: list[list[bytes]] = []
    for at, (name, column) in enumerate(zip(layout.types, columns, strict=True)):
        if layout.nulls and column.null_count:
            table["nulls"][:, at // 8] |= column.is_null().to_numpy(zero_copy_only=False).astype("u1") << (at % 8)
        if name in FIXED:
            table[f"f{at}"] = _numbers(name, column)
        else:
            data = [b"" if value is None else bytes_of(name, value) for value in column.to_pylist()]
            table[f"f{at}"] = [len(part) for part in data]
            tails.append(data)
    size, whole = table.dtype.itemsize, table.tobytes()
    heads = [whole[start : start + size] for start in range(0, count * size, size)]
    return [b"".join(parts) for parts in zip(heads, *tails, strict=True)] if tails else heads


def encode_order(times: Sequence[pa.Array], rows: pa.Array) -> list[bytes]:
    """The place of each row: `times` are event, created and time of ingestion; a missing one comes before all others."""
    table = numpy.zeros((len(rows), 4), dtype=">u8")
    for at, column in enumerate((*times, rows)):
        numbers = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
        signed = pc.fill_null(numbers, -(1 << 63)).to_numpy(zero_copy_only=False).astype("int64")
        table[:, at] = signed.view("uint64") ^ numpy.uint64(1 << 63)
    whole = table.tobytes()
    return [whole[start : start + 32] for start in range(0, len(whole), 32)]


def _numbers(name: str, column: pa.Array) -> Any:
    if name == "timestamp":
        column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    elif name == "date":
        column = column.cast(pa.date32()).cast(pa.int32())
    if column.null_count:
        column = pc.fill_null(column, False if name == "bool" else 0)
    return column.to_numpy(zero_copy_only=False)
