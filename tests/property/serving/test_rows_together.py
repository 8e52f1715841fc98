"""Requests that are read, run and answered together: whatever they are, however they arrive, each client gets on its connection what
it would have got alone and in the usual way, in the order in which it asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httptools
import numpy as np
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.serving.app import App
from slipway.serving.batching import Batcher
from slipway.serving.endpoints import Endpoints, Identity
from slipway.serving.errors import InputRefused
from slipway.serving.http.connection import Connection, Site
from slipway.serving.http.limits import Limits
from slipway.serving.metrics import Metrics
from slipway.serving.signature import Signature, Tensor
from slipway.serving.tensors import Array

WIDTH = 3
PATH = "/v2/models/m/infer"


class Tagging:
    """Gives twice a row's first value and the row itself; stumbles over -1."""

    format = "onnx"
    signature = Signature(
        (Tensor("X", "FP32", (-1, WIDTH)),), (Tensor("twice", "FP32", (-1,)), Tensor("row", "FP32", (-1, WIDTH)))
    )

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        if (arrays[0] == -1).any():
            raise InputRefused("-1")
        return [arrays[0][:, 0] * 2, arrays[0] * 1]


class Transport:
    """What was written, as answers."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self.closed = False

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        self.answers.append((self._parser.get_status_code(), orjson.loads(self._body)))
        self._body = b""

    def write(self, data: bytes) -> None:
        assert not self.closed
        self._parser.feed_data(data)

    def get_extra_info(self, _name: str) -> tuple[str, int]:
        return "127.0.0.1", 1

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """As much as comes is read."""

    resume_reading = pause_reading


@dataclass(frozen=True)
class Piece:
    """Some bytes on a connection; after it the loop goes on for some turns."""

    connection: int
    data: bytes
    turns: int


def served(
    pieces: Sequence[Piece], *, quick: bool, leaves: int | None = None
) -> tuple[list[list[tuple[int, Any]]], Metrics, Site]:
    """The answers of each connection. `leaves`: the connection that goes away at the end, before everything is answered."""
    metrics, model = Metrics(), Tagging()

    async def ask() -> tuple[list[list[tuple[int, Any]]], Site]:
        batcher = Batcher(model, metrics)
        endpoints = Endpoints(Identity("m", "1"), model, batcher, 100)
        if not quick:
            endpoints._single = None
        app = App(metrics)
        app.routes = endpoints.routes()
        site = Site(app, Limits())
        transports = [Transport() for _ in range(max(piece.connection for piece in pieces) + 1)]
        connections = [Connection(site) for _ in transports]
        for connection, transport in zip(connections, transports, strict=True):
            connection.connection_made(transport)
        for piece in pieces:
            if not transports[piece.connection].closed:
                connections[piece.connection].data_received(piece.data)
            for _ in range(piece.turns):
                await asyncio.sleep(0)
        if leaves is not None and leaves < len(connections):
            connections[leaves].connection_lost(None)
        for _ in range(200):
            await asyncio.sleep(0)
        return [transport.answers for transport in transports], site

    answers, site = asyncio.run(ask())
    return answers, metrics, site


def request(text: str, form: int, id_: str | None) -> bytes:
    """`text` where the values belong, in one of the ways in which clients write requests."""
    named = "" if id_ is None else f'"id":"{id_}",'
    body = (
        '{%s"inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","data":[%s]}]}',
        '{%s "inputs": [{"name": "X", "shape": [1, 3], "datatype": "FP32", "data": [%s]}]}',
        '{%s"inputs":[{"data":[%s],"datatype":"FP32","shape":[1,3],"name":"X"}]}',
        '{%s"inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","data":[%s]}],"outputs":[{"name":"row"}]}',
    )[form] % (named, text)
    return f"POST {PATH} HTTP/1.1\r\nhost: h\r\ncontent-length: {len(body.encode())}\r\n\r\n{body}".encode()


NUMBERS = st.lists(
    st.one_of(st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr), st.integers(-3, 99).map(str)),
    min_size=WIDTH,
    max_size=WIDTH,
).map(",".join)
# what would become other rows, or other rows' values, if texts were put together and not looked at
TRICKS = st.sampled_from(
    [
        "", "1,2", "1,2,3,4", "1,2,3,", ",1,2", "[1,2,3]", "1,2],[3", "1,2,3],[4,5,6", '1,2,"3', '",4,5', '"1,2",3,4', "1,2,[3]",
        '1,2,{"a":3}', '1,{"a,b":2},3', "true,2,3", "1,null,3", "0,false,1", "1e999,2,3", "1e39,2,3", "1,2,3.", "01,2,3", "1,2,NaN",
        " 1 , 2\t,3 ", "1E2,-0,0.5e-3", '1,2,3]}],"id":"other","x":[{"y":[1', '1,2,3],"shape":[2,3],"data":[1,2,3,4,5,6',
        '1,2,3],"name":"Y","data":[1,2,3', "184467440737095516150,1,2", "é,1,2", "1,2,3//", "-1,0,0",
    ]
)  # fmt: skip
REQUESTS = st.builds(
    request,
    st.one_of(NUMBERS, NUMBERS, NUMBERS, TRICKS),
    st.sampled_from([0, 0, 0, 0, 1, 2, 3]),
    st.sampled_from([None, None, None, "", "a", "b"]),
)


@st.composite
def arrivals(draw: st.DrawFn) -> list[Piece]:
    """Requests on several connections, some cut apart, some one behind the other, in any order between connections."""
    streams = draw(st.lists(st.lists(REQUESTS, min_size=1, max_size=4), min_size=1, max_size=6))
    left = []
    for at, requests in enumerate(streams):
        data = b"".join(requests)
        cuts = sorted(draw(st.sets(st.integers(1, len(data) - 1), max_size=2))) if draw(st.booleans()) else []
        whole = not cuts and draw(st.booleans())
        parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)] if cuts or whole else requests
        left.append([(at, part) for part in parts])
    pieces = []
    while left:
        chosen = draw(st.integers(0, len(left) - 1))
        at, part = left[chosen].pop(0)
        pieces.append(Piece(at, part, draw(st.sampled_from([0, 0, 0, 1, 3]))))
        left = [stream for stream in left if stream]
    return pieces


@settings(max_examples=200, deadline=None)
@given(arrivals())
def test_everyone_gets_what_the_usual_way_gives_in_the_order_of_asking(pieces: list[Piece]) -> None:
    quick, metrics, site = served(pieces, quick=True)
    usual, other, _ = served(pieces, quick=False)
    assert quick == usual
    assert site.in_flight == site.buffered == 0
    counted = [series.requests for series in metrics.series.values()]
    assert counted == [series.requests for series in other.series.values()]
    assert sum(map(len, quick)) == sum(sum(by_status.values()) for by_status in counted)
    assert all(sum(series.latency.counts) == sum(series.requests.values()) for series in metrics.series.values())


@settings(max_examples=50, deadline=None)
@given(st.lists(NUMBERS, min_size=2, max_size=30), st.integers(0, 30))
def test_who_leaves_takes_nobody_along(texts: list[str], leaves: int) -> None:
    pieces = [Piece(at, request(text, 0, None), 0) for at, text in enumerate(texts)]
    answers, _, site = served(pieces, quick=True, leaves=leaves)
    for at, (text, got) in enumerate(zip(texts, answers, strict=True)):
        if at == leaves:
            assert got == []
            continue
        row = np.array([float(value) for value in text.split(",")], dtype=np.float32)
        ((status, answer),) = got
        assert status == (400 if -1 in row else 200)
        if status == 200:
            np.testing.assert_array_equal(np.array(answer["outputs"][1]["data"], dtype=np.float32), row)
    assert site.in_flight == site.buffered == 0
