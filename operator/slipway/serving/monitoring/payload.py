"""The payload log: what was asked and answered, one row per row, for those who look later or join the truth to it.

Columns: ``request_id``, ``row`` (within the request), ``time`` (UTC), ``input.<name>`` and ``output.<name>``; names are those
of training's columns where they are known.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, groupby
from time import time
from typing import Any, Final
from zlib import crc32

import numpy as np

from slipway.serving.datatypes import datatype_of
from slipway.serving.monitoring import columns
from slipway.serving.monitoring.observer import Observation
from slipway.serving.monitoring.sink import Sink
from slipway.serving.signature import ANY, Signature, Tensor
from slipway.serving.tensors import Array

_SPAN: Final = 1 << 32
_TEXT: Final = 40
"""Bytes that a text is taken for when memory is counted."""

Named = Mapping[str, Array]
Kept = tuple[Sequence[str], float | Array, Sequence[Array], Sequence[Array]]
"""Request ids, time in seconds since 1970 or that of each row, inputs, outputs: one request with all the rows, or one for each row."""
_BATCHES: Final = 64
"""Batches of single rows whose chosen rows are picked out together, as that costs more per batch than per row."""
_BYTES: Final = 1 << 20
"""Of inputs that are held whole until then."""


class _Fresh:
    """The latest batches of single rows, whole, and which of their rows are kept."""

    __slots__ = ("_held", "_total", "counts", "ids", "inputs", "outputs", "rows", "times")

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.rows: list[int] = []
        """Among those of all batches."""
        self.times: list[float] = []
        self.counts: list[int] = []
        """Rows that are kept, by batch."""
        self.inputs: list[Sequence[Array]] = []
        self.outputs: list[Sequence[Array]] = []
        self._total = self._held = 0

    def add(
        self, ids: Sequence[str], chosen: Sequence[int], now: float, inputs: Sequence[Array], outputs: Sequence[Array]
    ) -> bool:
        """Whether that is enough."""
        total = self._total
        for at in chosen:
            self.ids.append(ids[at])
            self.rows.append(total + at)
        self.times.append(now)
        self.counts.append(len(chosen))
        self.inputs.append(inputs)
        self.outputs.append(outputs)
        self._total = total + len(ids)
        self._held += inputs[0].nbytes
        return len(self.times) >= _BATCHES or self._held > _BYTES

    def picked(self, batches: Sequence[Sequence[Array]]) -> list[Array]:
        """The rows that are kept, of each tensor."""
        return [np.concatenate(arrays)[self.rows] for arrays in zip(*batches, strict=True)]


class PayloadLog:
    """Observes, and keeps a part of the requests: the same ids on every replica and version, so that they can be
    compared and joined."""

    def __init__(self, sink: Sink, part: float, clock: Callable[[], float] = time) -> None:
        """`part`: from 0 (nothing) to 1 (every request)."""
        self.sink = sink
        self._below = int(part * _SPAN)
        self._clock = clock
        self._fresh = _Fresh()
        self._lock = threading.Lock()
        sink.gather = self._gather

    def observe(self, batch: Sequence[Observation]) -> None:
        """Hands the chosen requests to the sink."""
        now = self._clock()
        for request, inputs, outputs in batch:
            if self._takes(request) and inputs:
                # outputs are often views of a whole batch, and inputs of a request's body
                self._add([request], now, [a.copy() for a in inputs], [a.copy() for a in outputs])

    def observe_rows(self, requests: Sequence[str], inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        """The same for requests of one row each, whose arrays are stacked and stay as they are."""
        below = self._below
        if not below:
            return
        chosen = [at for at, request in enumerate(requests) if crc32(request.encode()) < below]  # as `_takes`, without the calls
        if chosen:
            with self._lock:
                full = self._fresh.add(requests, chosen, self._clock(), inputs, outputs)
            if full:
                self._gather()

    def _gather(self) -> None:
        """Picks out the chosen rows of the latest batches; by the event loop's thread when there are enough, or by the sink's."""
        with self._lock:
            fresh, self._fresh = self._fresh, _Fresh()
        if fresh.ids:
            self._add(fresh.ids, np.repeat(fresh.times, fresh.counts), fresh.picked(fresh.inputs), fresh.picked(fresh.outputs))

    def _takes(self, request: str) -> bool:
        return crc32(request.encode()) < self._below

    def _add(self, requests: list[str], now: float | Array, inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        size = sum(_size(array) for array in (*inputs, *outputs))
        self.sink.add((requests, now, inputs, outputs), len(inputs[0]), size)

    def keep(self, request: str, inputs: Named, outputs: Named, names: tuple[str, ...]) -> None:
        """The same for what application code took and gave, arrays by name, which nobody changes; `names`: those of the model's only input.
        The sink's table is `table_by_name`."""
        if not self._takes(request):
            return
        sides = [list(side.values()) for side in (inputs, outputs)]
        tensors = [_described(side) for side in (inputs, outputs)]
        signature = Signature(tensors[0], tensors[1], names if len(tensors[0]) == 1 else ())
        size = sum(_size(array) for side in sides for array in side)
        self.sink.add((signature, ([request], self._clock(), *sides)), len(sides[0][0]), size)


def table_by_name(kept: Sequence[tuple[Signature, Kept]]) -> columns.Columns:
    """Columns of requests whose names and types may differ."""
    alike = groupby(kept, key=lambda pair: pair[0])
    return columns.joined([table_of(like)([one for _, one in some]) for like, some in alike])


def _described(named: Named) -> tuple[Tensor, ...]:
    return tuple(Tensor(name, datatype_of(array.dtype) or "BYTES", (ANY, *array.shape[1:])) for name, array in named.items())


def table_of(signature: Signature) -> Callable[[Sequence[Kept]], columns.Columns]:
    """Makes columns of kept requests of a model with `signature`."""

    def table(kept: Sequence[Kept]) -> columns.Columns:
        counts = [len(inputs[0]) for _, _, inputs, _ in kept]
        found: dict[str, Any] = {
            "request_id": columns.texts(chain.from_iterable(_by_row(ids, n) for (ids, *_), n in zip(kept, counts, strict=True))),
            "row": columns.values(np.concatenate([_numbers(ids, n) for (ids, *_), n in zip(kept, counts, strict=True)])),
            "time": columns.times(np.concatenate([np.broadcast_to(at, n) for (_, at, *_), n in zip(kept, counts, strict=True)])),
        }
        sides = (
            ("input", signature.inputs, [inputs for _, _, inputs, _ in kept]),
            ("output", signature.outputs, [outputs for _, _, _, outputs in kept]),
        )
        for role, tensors, arrays in sides:
            names = signature.columns if role == "input" and len(tensors) == 1 else ()
            for at, tensor in enumerate(tensors):
                array = np.concatenate([one[at] for one in arrays])
                for name, part in _columns(tensor, array, names):
                    found[f"{role}.{name}"] = columns.values(part)
        return found

    return table


def _by_row(requests: Sequence[str], rows: int) -> Sequence[str]:
    return requests if len(requests) == rows else [*requests] * rows


def _numbers(requests: Sequence[str], rows: int) -> Array:
    """Of the rows within their requests."""
    return np.zeros(rows, dtype=np.int32) if len(requests) == rows else np.arange(rows, dtype=np.int32)


def _columns(tensor: Tensor, array: Array, names: Sequence[str]) -> list[tuple[str, Array]]:
    """A tensor as columns: one for each value of a row when training named them, or where there is but one; else lists."""
    if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1):
        return [(tensor.name, array.reshape(-1))]
    if array.ndim == 2 and len(names) == array.shape[1]:
        return list(zip(names, array.T, strict=True))
    return [(tensor.name, array)]


def _size(array: Array) -> int:
    return array.size * _TEXT if array.dtype.kind == "O" else array.nbytes
