"""Answers that go out together are counted, traced and logged as if each had gone out alone."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.serving.app import App, Direct
from slipway.serving.batching import Batcher
from slipway.serving.endpoints import Endpoints, Identity
from slipway.serving.http.connection import Connection, Site, reply_all
from slipway.serving.http.exchange import Exchange
from slipway.serving.http.limits import Limits
from slipway.serving.metrics import LATENCY, WAITING, Histogram, Metrics
from slipway.serving.signature import Signature, Tensor
from slipway.serving.tensors import Array

BODY = b'{"inputs":[{"name":"X","shape":[1,2],"datatype":"FP32","data":[%d,2]}]}'
REQUEST = b"POST %s HTTP/1.1\r\nhost: h\r\n%scontent-length: %d\r\n\r\n%s"


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def get_extra_info(self, _name: str) -> None:
        return None

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        self.written.append(b"closed")

    def can_write_eof(self) -> bool:
        return False

    def resume_reading(self) -> None:
        """It never paused."""

    def statuses(self) -> list[int]:
        return [int(data.split(b" ", 2)[1]) for data in self.written if data != b"closed"]


class Gated:
    """Gives what it takes, when the gate is open."""

    format = "onnx"
    signature = Signature((Tensor("X", "FP32", (-1, 2)),), (Tensor("Y", "FP32", (-1, 2)),))

    def __init__(self) -> None:
        self.gate = threading.Event()

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        self.gate.wait(20)
        return [arrays[0] * 1]


class Tracer:
    """Takes those with a parent, as a sampler does."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def takes(self, headers: Any) -> bool:
        return "traceparent" in headers

    def taken(self, requests: Sequence[Any]) -> list[int]:
        return [at for at, headers in enumerate(requests) if self.takes(headers)]

    def answered(self, name: str, attributes: Any, _headers: Any, _seconds: float, *, failed: bool) -> None:
        assert not failed
        self.told.append((name, attributes["slipway.request_id"]))


def held(count: int, metrics: Metrics, **more: Any) -> tuple[list[Exchange], list[Connection], list[Transport], Site]:
    """Requests on as many connections that wait for their answer."""
    app = App(metrics, **more)
    exchanges: list[Exchange] = []
    app.routes = {"/p": Direct("p", exchanges.append, "m")}
    site = Site(app, Limits())
    connections, transports = [Connection(site) for _ in range(count)], [Transport() for _ in range(count)]
    for at, (connection, transport) in enumerate(zip(connections, transports, strict=True)):
        connection.connection_made(transport)
        traced = b"traceparent: 00-" + b"ab" * 16 + b"-" + b"cd" * 8 + b"-01\r\n" if at % 3 == 0 else b""
        connection.data_received(REQUEST % (b"/p", b"x-request-id: r%d\r\n" % at + traced, 2, b"{}"))
    return exchanges, connections, transports, site


@given(st.lists(st.floats(0, 40), min_size=1, max_size=50), st.sampled_from([LATENCY, WAITING]))
def test_times_are_counted_together_as_one_by_one(seconds: list[float], bounds: Sequence[float]) -> None:
    together, alone = Histogram(bounds), Histogram(bounds)
    now = 1000.0
    starts = [now - one for one in seconds]
    together.observe_since(starts, now)
    for start in starts:
        alone.observe(now - start)
    assert sum(together.counts) == len(seconds)
    assert together.sum == pytest.approx(alone.sum, abs=1e-9)
    # a time that is a bound to the last bit may round to either side of it
    off = sum(abs(a - b) for a, b in zip(together.counts, alone.counts, strict=True))
    near = sum(any(abs(one - bound) < 1e-9 for bound in bounds) for one in seconds)
    assert off <= 2 * near


def test_each_is_answered_counted_and_traced_once() -> None:
    metrics, tracer = Metrics(), Tracer()
    exchanges, _, transports, site = held(7, metrics, tracer=tracer)
    assert site.in_flight == 7
    reply_all(exchanges, [b"{%d}" % at for at in range(7)])
    reply_all(exchanges, [b"{9}"] * 7)
    for at, transport in enumerate(transports):
        (answer,) = transport.written
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nx-request-id: r%d\r\n" % at in answer
        assert answer.endswith(b"\r\n\r\n{%d}" % at)
        assert b"content-length: 3\r\n" in answer
    assert site.in_flight == site.buffered == 0
    assert metrics.series["m", "p"].requests == {200: 7}
    assert sum(metrics.series["m", "p"].latency.counts) == 7
    assert tracer.told == [("POST p", f"r{at}") for at in (0, 3, 6)]


def test_each_has_its_line_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    exchanges, *_ = held(3, Metrics(), access_log=True)
    reply_all(exchanges, [b"{}"] * 3)
    lines = [orjson.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["request_id"] for line in lines if line["event"] == "request"] == ["r0", "r1", "r2"]


def test_who_went_or_was_refused_meanwhile_is_passed_over_and_draining_closes() -> None:
    metrics = Metrics()
    exchanges, connections, transports, site = held(4, metrics)
    connections[0].connection_lost(None)
    connections[1].expire()
    reply_all(exchanges[:3], [b"{}"] * 3)
    site.draining = True
    reply_all(exchanges, [b"{}"] * 4)
    assert [transport.statuses() for transport in transports] == [[], [504], [200], [200]]
    assert b"connection: close" in transports[3].written[0]
    assert transports[3].written[-1] == b"closed"
    assert site.in_flight == site.buffered == 0
    assert metrics.series["m", "p"].requests == {499: 1, 504: 1, 200: 2}


def test_a_deadline_that_passes_in_a_batch_is_that_requests_alone() -> None:
    model, metrics = Gated(), Metrics()

    async def main() -> tuple[list[Transport], Site]:
        batcher = Batcher(model, metrics, inline=False)
        app = App(metrics)
        app.routes = Endpoints(Identity("m", "1"), model, batcher, 100).routes()
        site = Site(app, Limits())
        connections, transports = [Connection(site) for _ in range(5)], [Transport() for _ in range(5)]
        for at, (connection, transport) in enumerate(zip(connections, transports, strict=True)):
            connection.connection_made(transport)
            body = BODY % at
            connection.data_received(REQUEST % (b"/v2/models/m/infer", b"", len(body), body))
        await asyncio.sleep(0.05)  # they run
        connections[2].expire()
        model.gate.set()
        quiet = asyncio.Event()
        site.idle_event = quiet.set
        if site.in_flight:
            await quiet.wait()
        batcher.close()
        return transports, site

    transports, site = asyncio.run(asyncio.wait_for(main(), 30))
    assert [transport.statuses() for transport in transports] == [[200], [200], [504], [200], [200]]
    for at in (0, 1, 3, 4):
        answer = orjson.loads(transports[at].written[0].split(b"\r\n\r\n", 1)[1])
        np.testing.assert_array_equal(answer["outputs"][0]["data"], [at, 2])
    assert site.buffered == 0
    assert metrics.series["m", "v2_infer"].requests == {504: 1, 200: 4}


def test_nobody_overtakes_who_waits_on_the_same_connection() -> None:
    """A request that arrives after one answer and before the next request is taken up."""

    async def main() -> tuple[list[str], Transport]:
        exchanges: list[Exchange] = []
        app = App(Metrics())
        app.routes = {"/p": Direct("p", exchanges.append, "m")}
        connection, transport = Connection(Site(app, Limits())), Transport()
        connection.connection_made(transport)
        a, b, c = (REQUEST % (b"/p", b"x-request-id: %s\r\n" % name, 2, b"{}") for name in (b"a", b"b", b"c"))
        connection.data_received(a + b)
        exchanges[0].reply(200, b"{}")
        connection.data_received(c)
        for at in (1, 2):
            await asyncio.sleep(0)
            exchanges[at].reply(200, b"{}")
        return [exchange.id for exchange in exchanges], transport

    ids, transport = asyncio.run(main())
    assert ids == ["a", "b", "c"]
    assert transport.statuses() == [200, 200, 200]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (b"/v2/models/m/infer", BODY % 1),
        (b"/v2/models/m/infer", b'{"inputs":[{"name":"X","shape":[3,2],"datatype":"FP32","data":[1,2,3,4,5,6]}]}'),
        (b"/v1/models/m:predict", b'{"instances":[[1,2],[3,4]]}'),
        (b"/v2/models/m/infer", b'{"inputs":[]}'),
    ],
    ids=["one row", "rows", "v1", "refused"],
)
def test_what_was_answered_is_let_go_at_once(path: bytes, body: bytes) -> None:
    """Requests of many rows that waited for the collector of cycles took 120 KB each, 30 MB with 256 connections."""
    model = Gated()
    model.gate.set()

    async def main() -> int:
        batcher = Batcher(model, Metrics())
        app = App(Metrics())
        app.routes = Endpoints(Identity("m", "1"), model, batcher, 100).routes()
        connection, transport = Connection(Site(app, Limits())), Transport()
        connection.connection_made(transport)

        async def ask(times: int) -> None:
            for _ in range(times):
                connection.data_received(REQUEST % (path, b"", len(body), body))
                for _ in range(3):
                    await asyncio.sleep(0)

        await ask(3)
        gc.collect()
        gc.disable()
        try:
            await ask(50)
            return gc.collect()
        finally:
            gc.enable()
            batcher.close()
            assert len(transport.written) == 53

    assert asyncio.run(main()) < 50
