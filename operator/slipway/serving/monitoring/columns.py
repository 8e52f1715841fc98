"""Columns of Parquet files, from numpy arrays and lists. Made with arro3 (docs/adr/0034-parquet-by-arro3.md)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from slipway.serving.tensors import Array

_SAMPLE: Final = 256
Columns = Mapping[str, Any]
"""Arrow arrays by column name, all of one length."""


def texts(values: Iterable[Any]) -> Any:
    """Anything as text; None as null."""
    from arro3.core import Array as Arrow
    from arro3.core import DataType

    return Arrow([None if value is None else str(value) for value in values], DataType.string())


def numbers(values: Sequence[float | None]) -> Any:
    """FP64; None as null."""
    from arro3.core import Array as Arrow
    from arro3.core import DataType

    return Arrow(list(values), DataType.float64())


def times(seconds: Sequence[float] | Array) -> Any:
    """Seconds since 1970 as UTC, to the millisecond."""
    from arro3.core import Array as Arrow
    from arro3.core import DataType

    whole = np.floor(np.asarray(seconds, dtype=np.float64) * 1000).astype(np.int64)
    return Arrow.from_numpy(whole).cast(DataType.timestamp("ms", tz="UTC"))


def values(array: Array) -> Any:
    """An array of one value for each row, or of lists (of lists …) where it has more dimensions."""
    from arro3.core import Array as Arrow
    from arro3.core import DataType, Field, list_array

    flat = np.ascontiguousarray(array).reshape(-1)
    made = texts(flat.tolist()) if flat.dtype.kind in "OUST" else Arrow.from_numpy(flat)
    for axis in range(array.ndim - 1, 0, -1):
        length, count = array.shape[axis], int(np.prod(array.shape[:axis]))
        offsets = Arrow.from_numpy(np.arange(count + 1, dtype=np.int32) * np.int32(length))
        made = list_array(offsets, made, type=DataType.list(Field("item", made.type, nullable=True)))
    return made


def joined(parts: Sequence[Columns]) -> Columns:
    """`parts` one below the other. What a part does not have is null; a column that is of several types is FP64 when they are
    numbers, else text."""
    from arro3.core import Array as Arrow
    from arro3.core import ChunkedArray

    if len(parts) == 1:
        return parts[0]
    found = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        kind = _common([part[name].type if name in part else None for part in parts])
        found[name] = ChunkedArray(
            [_cast(part[name], kind) if name in part else Arrow([None] * len(next(iter(part.values()))), kind) for part in parts]
        )
    return found


def parquet(columns: Any) -> bytes:
    """A Parquet file, zstd, of columns by name or of a table of any Arrow library."""
    from arro3.core import Table
    from arro3.io import write_parquet

    out = io.BytesIO()
    table = Table.from_pydict(dict(columns)) if isinstance(columns, Mapping) else Table.from_arrow(columns)
    # a dictionary of values that hardly repeat makes a column larger, and takes five times as long
    repeating: dict[str | Sequence[str], bool] = {name: True for name in table.column_names if _repeats(table[name])}
    write_parquet(table, out, compression="zstd(1)", dictionary_enabled=False, column_dictionary_enabled=repeating)
    return out.getvalue()


def _repeats(column: Any) -> bool:
    """Whether the first values of a column, of no lists, are the same ones again and again."""
    from arro3.core import DataType

    if DataType.is_nested(column.type):
        return False
    first = column.slice(0, min(_SAMPLE, len(column))).to_pylist()
    return 2 * len(set(first)) < len(first)


def _common(kinds: Sequence[Any]) -> Any:
    """The type for arrays of `kinds`; None stands for one that is not there."""
    from arro3.core import DataType

    there = [kind for kind in kinds if kind is not None]
    if all(kind == there[0] for kind in there) and (len(there) == len(kinds) or not DataType.is_nested(there[0])):
        return there[0]
    return DataType.float64() if all(DataType.is_numeric(kind) for kind in there) else DataType.string()


def _cast(array: Any, kind: Any) -> Any:
    from arro3.core import DataType

    if array.type == kind:
        return array
    return texts(array.to_pylist()) if DataType.is_nested(array.type) else array.cast(kind)
