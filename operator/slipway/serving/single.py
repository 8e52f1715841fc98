"""The quick way of the commonest request: one row of floats as plain JSON. What it sent is looked at together with the other
rows of its batch, so that most of the work is done once for many."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from itertools import islice
from time import perf_counter
from typing import Any

import numpy as np
import orjson

from slipway.serving.datatypes import DTYPES
from slipway.serving.http.connection import reply_all
from slipway.serving.http.exchange import Exchange
from slipway.serving.protocol.v2 import InferRequest, InferWriter
from slipway.serving.signature import Tensor
from slipway.serving.tensors import Array

_MAX_BODY = 64 << 10
"""Larger bodies hold more than a row."""
_FORMS = 4
"""Ways of writing a request that are remembered."""


class Form:
    """How a client writes requests: all but the values."""

    __slots__ = ("head", "id", "size", "start", "stop", "tail")

    def __init__(self, head: bytes, tail: bytes, id_: str | None) -> None:
        self.head, self.tail, self.id = head, tail, id_
        self.start, self.stop, self.size = len(head), -len(tail), len(head) + len(tail)


class Row:
    """One request with one row: an item of the batcher (`slipway.serving.batching.Item`) that is made with less. The values are
    either in the body where its form has them, read by nobody yet, or in a list of the right length, of what may not be numbers."""

    __slots__ = ("exchange", "form", "reader", "since", "values")

    rows = 1
    kind = None

    def __init__(self, exchange: Exchange, form: Form, values: list[Any] | None, reader: Rows) -> None:
        self.exchange = exchange
        self.form = form
        self.values = values
        self.reader = reader
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
    def finish(self) -> Finish:
        """Answers it in the usual way."""
        return self.reader.finish

    @property
    def arrays(self) -> list[Array]:
        """The model's inputs. Raises BadInput, which names the element."""
        return self.usual().arrays

    @property
    def note(self) -> tuple[Exchange, InferRequest]:
        """What answers in the usual way need."""
        return self.exchange, InferRequest([], 1, self.form.id)

    def usual(self) -> InferRequest:
        """The request as it is read in the usual way. Raises BadInput, MemoryError."""
        return self.reader.usual(self.exchange.body)


Finish = Callable[[Any, Any], None]


class Rows:
    """Reads and answers requests of one row for one model."""

    def __init__(
        self,
        quick: tuple[str, str, list[int], int],
        outputs: Sequence[Tensor],
        writer: InferWriter,
        finish: Finish,
        usual: Callable[[bytes], InferRequest],
    ) -> None:
        """`quick`: as `Signature.quick` has it. `finish` answers, and `usual` reads, what is not answered or read here."""
        self._outputs = outputs
        self._writer = writer
        self.finish = finish
        self.usual = usual
        self._name, self._datatype, lengths, self._width = quick
        self._shape = [1, *lengths]
        self._lengths = tuple(lengths)
        self._dtype = DTYPES[self._datatype]
        self._format = "f" if self._datatype == "FP32" else "d"
        self._packers: dict[int, Callable[..., bytes]] = {}
        self._forms: list[Form] = []
        self._unknown = 0

    def read(self, exchange: Exchange) -> Row | None:
        """A request that asks for one row and nothing special; None for any other, right or wrong."""
        body = exchange.body
        size = len(body)
        if size > _MAX_BODY:
            return None
        for form in self._forms:
            if size >= form.size and body.startswith(form.head) and body.endswith(form.tail):
                return Row(exchange, form, None, self)
        values, id_ = self._parsed(body)
        if values is None:
            return None
        self._unknown += 1
        if not self._unknown & (self._unknown - 1):
            self._learn(body, id_)
        return Row(exchange, Form(b"", b"", id_), values, self)

    def _parsed(self, body: bytes) -> tuple[list[Any] | None, str | None]:
        nothing = None, None
        try:
            request = orjson.loads(body)
            (sent,) = request["inputs"]
            shape, values = sent["shape"], sent["data"]
            if shape != self._shape or type(shape[0]) is not int or sent["name"] != self._name:
                return nothing
            if sent["datatype"] != self._datatype or type(values) is not list or len(values) != self._width or len(sent) != 4:
                return nothing
        except (ValueError, TypeError, LookupError):
            return nothing
        if len(request) == 1:
            return values, None
        id_ = request.get("id")
        return (values, id_) if len(request) == 2 and type(id_) is str else nothing

    def _learn(self, body: bytes, id_: str | None) -> None:
        """Remembers what stands around the values, as most clients write that alike each time. Done at the first request of
        an unknown form, the second, the fourth and so on: clients whose requests all differ, by an id, cost nothing more."""
        start = body.find(b"[", body.find(b'"data"')) + 1
        stop = body.find(b"]", start)
        form = Form(body[:start], body[stop:], id_)
        # with other numbers in its place the request has these: so it is the list of values that was cut out, and nothing else
        others = [at + 0.5 for at in range(self._width)]
        if 0 < start <= stop and self._parsed(form.head + orjson.dumps(others)[1:-1] + form.tail) == (others, id_):
            self._forms = [form, *self._forms[: _FORMS - 1]]

    def stack(self, batch: Sequence[Row]) -> Array | None:
        """All rows as the model takes them, in an array that cannot be written to; None when a value is no number, or too large."""
        rows = len(batch)
        pack = self._packers.get(rows)
        if pack is None:
            pack = self._packers[rows] = struct.Struct(f"={rows * self._width}{self._format}").pack
        try:
            array = np.frombuffer(pack(*self._values(batch)), self._dtype)
        except (OverflowError, ValueError, TypeError, struct.error):
            return None
        return array.reshape(rows, *self._lengths)

    def _values(self, batch: Sequence[Row]) -> list[Any]:
        """The values of all rows, one after the other. Raises ValueError for some that are wrong.

        The texts are read together, which puts no row's values into another: when all that was read are numbers, there were
        no strings or brackets in the texts, so that their commas tell how many values each has."""
        texts = [row.exchange.body[row.form.start : row.form.stop] for row in batch if row.values is None]
        commas = self._width - 1
        for text in texts:
            if text.count(b",") != commas:
                raise ValueError
        joined = b"[" + b",".join(texts) + b"]"
        if b"u" in joined or b"l" in joined:  # of true, false and null, which would be taken for numbers or are none
            raise ValueError
        values: list[Any] = orjson.loads(joined)
        if len(texts) == len(batch):
            return values
        read = iter(values)
        values = []
        for row in batch:
            if row.values is None:
                values += islice(read, self._width)
            elif bool in set(map(type, row.values)):
                raise ValueError
            else:
                values += row.values
        return values

    def answer(self, batch: Sequence[Row], outputs: Sequence[Array]) -> bool:
        """Answers all rows of a batch from the stacked outputs; False, and nothing is answered, when these are no rows of values."""
        texts = self._writer.write_single_rows(list(zip(self._outputs, outputs, strict=True)), [row.form.id for row in batch])
        if texts is None:
            return False
        reply_all([row.exchange for row in batch], texts)
        return True
