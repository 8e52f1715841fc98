"""The payload log: what was asked and answered, one row per row, for those who look later or join the truth to it.

Columns: ``request_id``, ``row`` (within the request), ``time`` (UTC), ``input.<name>`` and ``output.<name>``; names are those
of training's columns where they are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from time import time
from typing import Any, Final
from zlib import crc32

import numpy as np

from slipway.serving.datatypes import datatype_of
from slipway.serving.monitoring.observer import Observation
from slipway.serving.monitoring.sink import Sink
from slipway.serving.signature import ANY, Signature, Tensor
from slipway.serving.tensors import Array

_SPAN: Final = 1 << 32
_TEXT: Final = 40
"""Bytes that a text is taken for when memory is counted."""

Named = Mapping[str, Array]
Kept = tuple[str, float, Sequence[Array], Sequence[Array]]
"""Request id, time in seconds since 1970, inputs, outputs."""


class PayloadLog:
    """Observes, and keeps a part of the requests: the same ids on every replica and version, so that they can be
    compared and joined."""

    def __init__(self, sink: Sink, part: float, clock: Callable[[], float] = time) -> None:
        """`part`: from 0 (nothing) to 1 (every request)."""
        self.sink = sink
        self._below = int(part * _SPAN)
        self._clock = clock

    def observe(self, batch: Sequence[Observation]) -> None:
        """Hands the chosen requests to the sink."""
        now = self._clock()
        for request, inputs, outputs in batch:
            if crc32(request.encode()) < self._below and inputs:
                size = sum(_size(array) for array in (*inputs, *outputs))
                # outputs are often views of a whole batch, and inputs of a request's body
                self.sink.add((request, now, [a.copy() for a in inputs], [a.copy() for a in outputs]), len(inputs[0]), size)

    def observe_rows(self, requests: Sequence[str], inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        """The same for requests of one row each, whose arrays are stacked."""
        if self._below:
            self.observe(
                [
                    (request, [array[at : at + 1] for array in inputs], [array[at : at + 1] for array in outputs])
                    for at, request in enumerate(requests)
                    if crc32(request.encode()) < self._below
                ]
            )

    def keep(self, request: str, inputs: Named, outputs: Named, columns: tuple[str, ...]) -> None:
        """The same for what application code took and gave, arrays by name, which nobody changes; `columns`: those of the model's only input.
        The sink's table is `table_by_name`."""
        if crc32(request.encode()) >= self._below:
            return
        sides = [list(side.values()) for side in (inputs, outputs)]
        tensors = [_described(side) for side in (inputs, outputs)]
        signature = Signature(tensors[0], tensors[1], columns if len(tensors[0]) == 1 else ())
        size = sum(_size(array) for side in sides for array in side)
        self.sink.add((signature, (request, self._clock(), *sides)), len(sides[0][0]), size)


def table_by_name(kept: Sequence[tuple[Signature, Kept]]) -> Any:
    """An Arrow table of requests whose names and types may differ: what a row does not have is null, and what is now a number
    and now a text is text."""
    import pyarrow as pa

    tables = [table_of(like)([one for _, one in some]) for like, some in groupby(kept, key=lambda pair: pair[0])]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return pa.concat_tables([_as_text(table) for table in tables], promote_options="permissive")


def _as_text(table: Any) -> Any:
    """`table` with what it took and gave as text."""
    import pyarrow as pa

    for at, name in enumerate(table.column_names):
        if name.startswith(("input.", "output.")):
            table = table.set_column(at, name, pa.array(map(_text, table[name].to_pylist()), pa.string()))
    return table


def _described(named: Named) -> tuple[Tensor, ...]:
    return tuple(Tensor(name, datatype_of(array.dtype) or "BYTES", (ANY, *array.shape[1:])) for name, array in named.items())


def table_of(signature: Signature) -> Callable[[Sequence[Kept]], Any]:
    """Makes Arrow tables of kept requests of a model with `signature`."""

    def table(kept: Sequence[Kept]) -> Any:
        import pyarrow as pa

        counts = [len(inputs[0]) for _, _, inputs, _ in kept]
        columns: dict[str, Any] = {
            "request_id": pa.array([request for (request, _, _, _), n in zip(kept, counts, strict=True) for _ in range(n)]),
            "row": pa.array(np.concatenate([np.arange(n, dtype=np.int32) for n in counts])),
            "time": pa.array(
                [datetime.fromtimestamp(at, UTC) for (_, at, _, _), n in zip(kept, counts, strict=True) for _ in range(n)],
                type=pa.timestamp("ms", tz="UTC"),
            ),
        }
        sides = (
            ("input", signature.inputs, [inputs for _, _, inputs, _ in kept]),
            ("output", signature.outputs, [outputs for _, _, _, outputs in kept]),
        )
        for role, tensors, arrays in sides:
            names = signature.columns if role == "input" and len(tensors) == 1 else ()
            for at, tensor in enumerate(tensors):
                array = np.concatenate([one[at] for one in arrays])
                for name, values in _columns(tensor, array, names):
                    columns[f"{role}.{name}"] = values
        return pa.table(columns)

    return table


def _columns(tensor: Tensor, array: Array, names: Sequence[str]) -> list[tuple[str, Any]]:
    """A tensor as columns: one for each value of a row when training named them, or where there is but one; else lists."""
    import pyarrow as pa

    text = array.dtype.kind in "OUST"
    if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1):
        flat = array.reshape(-1)
        return [(tensor.name, pa.array([_text(v) for v in flat.tolist()]) if text else pa.array(flat))]
    if array.ndim == 2 and len(names) == array.shape[1]:
        pairs = zip(names, array.T, strict=True)
        return [(n, pa.array([_text(v) for v in c.tolist()]) if text else pa.array(np.ascontiguousarray(c))) for n, c in pairs]
    lists = array.astype(str).tolist() if text else array.tolist()
    return [(tensor.name, pa.array(lists))]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _size(array: Array) -> int:
    return array.size * _TEXT if array.dtype.kind == "O" else array.nbytes
