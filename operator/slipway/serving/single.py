"""The quick way of the commonest request: one row of floats as plain JSON. What it sent is looked at together with the other
rows of its batch, so that most of the work is done once for many."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np
import orjson

from slipway.serving.datatypes import DTYPES
from slipway.serving.http.exchange import Exchange
from slipway.serving.protocol.v2 import InferRequest, InferWriter
from slipway.serving.signature import Signature, Tensor
from slipway.serving.tensors import Array, decode, holds_booleans

_MAX_BODY = 64 << 10
"""Larger bodies hold more than a row."""


class Row:
    """One request with one row: an item of the batcher (`slipway.serving.batching.Item`) that is made with less. `values`: a
    list of the right length, of what may not be numbers: `arrays` raises BadInput for those."""

    __slots__ = ("exchange", "finish", "id", "reader", "since", "values")

    rows = 1
    kind = None

    def __init__(self, exchange: Exchange, values: list[Any], id_: str | None, reader: Rows, finish: Callable[..., None]) -> None:
        self.exchange = exchange
        self.values = values
        self.id = id_
        self.reader = reader
        self.finish = finish
        self.since = perf_counter()

    @property
    def gone(self) -> bool:
        """Nobody waits for the answer any more."""
        return self.exchange.gone

    @property
    def request(self) -> str:
        """The request's id."""
        return self.exchange.id

    @property
    def arrays(self) -> list[Array]:
        """The model's inputs. Raises BadInput, which names the element."""
        return [self.reader.alone(self.values)]

    @property
    def note(self) -> tuple[Exchange, InferRequest]:
        """What answers in the usual way need."""
        return self.exchange, InferRequest([], 1, self.id)


class Rows:
    """Reads and answers requests of one row for one model."""

    def __init__(self, quick: tuple[str, str, list[int], int], outputs: Sequence[Tensor], writer: InferWriter) -> None:
        """`quick`: as `Signature.quick` has it."""
        self._outputs = outputs
        self._writer = writer
        self._name, self._datatype, lengths, self._width = quick
        self._shape = [1, *lengths]
        self._lengths = tuple(lengths)
        self._dtype = DTYPES[self._datatype]
        self._format = "f" if self._datatype == "FP32" else "d"
        self._packers: dict[int, Callable[..., bytes]] = {}

    @classmethod
    def of(cls, signature: Signature, writer: InferWriter) -> Rows | None:
        """None for models that take something else than rows of floats."""
        return cls(signature.quick, signature.outputs, writer) if signature.quick is not None and signature.by_rows else None

    def read(self, body: bytes) -> tuple[list[Any], str | None] | None:
        """The values and the id of a request that asks for one row and nothing special; None for any other, right or wrong."""
        if len(body) > _MAX_BODY:
            return None
        try:
            request = orjson.loads(body)
            (sent,) = request["inputs"]
            shape, values = sent["shape"], sent["data"]
            if shape != self._shape or type(shape[0]) is not int or sent["name"] != self._name:
                return None
            if sent["datatype"] != self._datatype or type(values) is not list or len(values) != self._width or len(sent) != 4:
                return None
        except (ValueError, TypeError, LookupError):
            return None
        if len(request) == 1:
            return values, None
        id_ = request.get("id")
        return (values, id_) if len(request) == 2 and type(id_) is str else None

    def stack(self, batch: Sequence[Row]) -> Array | None:
        """All rows as the model takes them, in an array that cannot be written to; None when a value is no number, or too large."""
        rows = len(batch)
        pack = self._packers.get(rows)
        if pack is None:
            pack = self._packers[rows] = struct.Struct(f"={rows * self._width}{self._format}").pack
        if rows == 1:
            values = batch[0].values
        else:
            values = []
            for row in batch:
                values += row.values
        try:
            array = np.frombuffer(pack(*values), self._dtype)
        except (OverflowError, struct.error):
            return None
        return None if holds_booleans(values, array) else array.reshape(rows, *self._lengths)

    def answer(self, batch: Sequence[Row], outputs: Sequence[Array]) -> bool:
        """Answers all rows of a batch from the stacked outputs; False, and nothing is answered, when these are no rows of values."""
        texts = self._writer.write_single_rows(list(zip(self._outputs, outputs, strict=True)), [row.id for row in batch])
        if texts is None:
            return False
        for row, text in zip(batch, texts, strict=True):
            row.exchange.reply(200, text)
        return True

    def alone(self, values: list[Any]) -> Array:
        """One row. Raises BadInput."""
        return decode(values, self._shape, self._datatype, self._datatype, "inputs[0].data")
