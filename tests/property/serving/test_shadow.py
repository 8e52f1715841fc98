"""Whatever is copied, and whatever becomes of copies: the user's answer is the same, byte by byte."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from slipway.serving.app import App, Direct
from slipway.serving.http.exchange import Exchange
from slipway.serving.metrics import Metrics
from slipway.serving.shadow.compare import Comparison, NotComparable, compare, read_rows
from slipway.serving.shadow.control import Shadow
from slipway.serving.shadow.mirror import Copy, Mirror

UNREACHABLE = "http://127.0.0.1:9"


class Sent:
    """A wire that keeps what was sent."""

    peer = "test"

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, bytes]] = []

    def send(self, _exchange: Exchange, head: bytes, body: bytes) -> None:
        self.sent.append((head, body))


class Broken(Mirror):
    """Breaks its promise in every way there is."""

    def offer(self, copy: Copy) -> None:
        raise RuntimeError("no")


def answers(status: int, body: bytes, headers: tuple[tuple[str, str], ...], percent: int | None, *, broken: bool) -> list[Any]:
    app, wire, ended = App(Metrics()), Sent(), []

    def answer(exchange: Exchange) -> None:
        exchange.reply(status, body, headers=headers)
        ended.append(exchange)  # nothing was raised into whoever answers

    app.routes = {"/p": Direct("v2_infer", answer, "m")}
    shadow = Shadow(app, UNREACHABLE)
    if percent is not None:
        asyncio.run(shadow.tell(orjson.dumps({"candidate": "3f9a3f9a", "percent": percent, "seconds": 60})))
        if broken:
            shadow._mirror = Broken("3f9a3f9a", UNREACHABLE, 0.0)
    for _ in range(3):
        exchange = Exchange(wire, "POST", "/p", "", {"x-request-id": "one"}, keep_alive=True)
        exchange.body = b"asked"
        assert app.accepts(exchange)
        app.handle(exchange)
        assert exchange.gone
        assert ended[-1] is exchange
    if shadow._mirror is not None:
        shadow._mirror.stop()
    return wire.sent


@given(
    st.sampled_from([200, 200, 400, 500]),
    st.binary(max_size=200),
    st.sampled_from([(), (("inference-header-content-length", "7"),), (("inference-header-content-length", "no"),)]),
    st.integers(0, 100),
    st.booleans(),
)
def test_copying_changes_no_answer(status: int, body: bytes, headers: Any, percent: int, broken: bool) -> None:
    assert answers(status, body, headers, percent, broken=broken) == answers(status, body, headers, None, broken=False)


@given(st.integers(1, 100), st.integers(1, 300))
def test_so_many_of_a_hundred_are_copied(percent: int, count: int) -> None:
    app, taken = App(Metrics()), []
    shadow = Shadow(app, UNREACHABLE)
    asyncio.run(shadow.tell(orjson.dumps({"candidate": "3f9a3f9a", "percent": percent, "seconds": 60})))
    for _ in range(count):
        wire = Sent()
        exchange = Exchange(wire, "POST", "/p", "", {}, keep_alive=True)
        shadow.watch(exchange, "v2_infer", "m")
        taken.append(exchange.wire is not wire)
    assert sum(taken) == count * percent // 100


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values, st.floats(0, 10))
def test_any_two_answers_can_be_held_beside_each_other(one: Any, other: Any, tolerance: float) -> None:
    pairs = []
    for value in (one, other):
        try:
            pairs.append(read_rows(orjson.dumps(value)))
        except NotComparable:
            pairs.append(read_rows(orjson.dumps({"predictions": [value]})))
    found = compare(pairs[0], pairs[1], tolerance)
    assert 0 <= found.agreed <= found.rows
    assert 0 <= found.distance < float("inf")
    same = compare(pairs[0], pairs[0], 0.0)
    assert same == Comparison(len(pairs[0]), len(pairs[0]), 0.0)


@given(st.binary(max_size=300), st.none() | st.integers(0, 400))
def test_no_bytes_break_the_reader(body: bytes, length: int | None) -> None:
    with suppress(NotComparable):
        read_rows(body, length)
