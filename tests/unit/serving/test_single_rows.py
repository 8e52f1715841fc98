"""Requests of one row are read, run and answered together: each gets what it would have got alone, right or wrong."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.serving.batching import Batcher
from slipway.serving.endpoints import Endpoints, Identity
from slipway.serving.errors import ModelFailed
from slipway.serving.failures import fail
from slipway.serving.http.exchange import Exchange
from slipway.serving.metrics import Metrics
from slipway.serving.monitoring.watch import Watch
from slipway.serving.settings import Options
from slipway.serving.signature import Signature, Tensor
from slipway.serving.tensors import Array

WIDTH = 3


class Tagging:
    """Gives the sum of a row and the row itself; stumbles over -1."""

    format = "onnx"
    signature = Signature(
        (Tensor("X", "FP32", (-1, WIDTH)),), (Tensor("label", "INT64", (-1,)), Tensor("row", "FP32", (-1, WIDTH)))
    )

    def __init__(self) -> None:
        self.runs: list[int] = []

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        self.runs.append(len(arrays[0]))
        if (arrays[0] == -1).any():
            raise ModelFailed("-1")
        return [arrays[0].sum(axis=1).astype(np.int64), arrays[0] * 1]


class Wire:
    peer = "-"

    def __init__(self) -> None:
        self.got: tuple[int, Any] | None = None

    def send(self, exchange: Exchange, head: bytes, body: bytes) -> None:
        assert self.got is None
        self.got = (exchange.status, orjson.loads(body))


def infer(bodies: Sequence[bytes], *, quick: bool = True, leave: int | None = None) -> tuple[list[Any], Tagging, Watch]:
    """What each of `bodies`, which arrive in one turn of the loop, is answered."""
    model = Tagging()
    watch = Watch("m", "1", model.signature, None, Options(model="m"))

    async def ask() -> list[Any]:
        batcher = Batcher(model, Metrics(), observer=watch)
        endpoints = Endpoints(Identity("m", "1"), model, batcher, 100)
        if not quick:
            endpoints._single = None
        wires = [Wire() for _ in bodies]
        for at, (wire, body) in enumerate(zip(wires, bodies, strict=True)):
            exchange = Exchange(wire, "POST", "/v2/models/m/infer", "", {}, True)
            exchange.body, exchange.id = body, f"r{at}"
            try:
                endpoints.infer(exchange)
            except Exception as error:
                fail(exchange, error)
            if at == leave:
                exchange.abandon()
        for _turn in range(20):
            await asyncio.sleep(0)
        assert not batcher.waiting
        return [wire.got for wire in wires]

    return asyncio.run(ask()), model, watch


def request(data: Any, **more: Any) -> bytes:
    return json.dumps({"inputs": [{"name": "X", "shape": [1, WIDTH], "datatype": "FP32", "data": data}], **more}).encode()


def test_rows_that_arrive_together_run_once_and_each_gets_its_own_answer() -> None:
    got, model, watch = infer([request([at, at + 0.5, 2]) for at in range(20)])
    assert model.runs == [20]
    assert [answer["outputs"][1]["data"] for _, answer in got] == [[at, at + 0.5, 2.0] for at in range(20)]
    assert [answer["outputs"][0]["data"] for _, answer in got] == [[int(2 * at + 2.5)] for at in range(20)]
    assert watch.monitor.document()["observedRows"] == 20
    told = asyncio.run(watch.feedback.answer(b'{"feedback": [{"id": "r3", "truth": 8}, {"id": "r4", "truth": 8}]}'))
    assert orjson.loads(told)["joined"] == 2
    assert watch.feedback.outcomes == {"right": 1, "wrong": 1, "unknown": 0}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([1, "2", 3], "inputs[0].data[1]"),
        ([1, 2, None], "inputs[0].data[2]"),
        ([True, 2, 3], "inputs[0].data[0]"),
        ([1, 1e39, 3], "inputs[0].data[1]: 1e+39 does not fit FP32"),
        ([1, 2, [3]], "inputs[0].data[2]"),
        ([1, 2], "inputs[0].data: 2 values"),
        ([[1, 2]], "inputs[0].data[0]"),
        ("123", "inputs[0].data"),
    ],
)
def test_a_wrong_row_among_others_is_told_so_and_the_others_are_answered(data: Any, says: str) -> None:
    got, _, _ = infer([request([1, 2, 3]), request(data), request([4, 5, 6])])
    assert [status for status, _ in got] == [200, 400, 200]
    assert says in got[1][1]["error"]
    assert got[2][1]["outputs"][1]["data"] == [4, 5, 6]


def test_a_row_that_the_model_fails_on_fails_alone() -> None:
    got, _, _ = infer([request([1, 2, 3]), request([-1, 0, 0]), request([4, 5, 6])])
    assert [status for status, _ in got] == [200, 500, 200]


_ELSE = b'{"inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","data":[1,2,3],"shape":[2,3],"data":[1,2,3,4,5,6]}],"id":"b"}'
_PLAIN = b'{"inputs":[{"name":"X","shape":[1,3],"datatype":"FP32","data":[%s]}],"id":"b"}'


@pytest.mark.parametrize("beside", [request([7, 8, 9]), request([7, 8, 9], outputs=[{"name": "row"}, {"name": "label"}])])
def test_what_begins_and_ends_as_a_row_and_is_two_is_answered_two(beside: bytes) -> None:
    """Beside rows, and beside requests that are read in the usual way."""
    got, model, _ = infer([_PLAIN % b"0,0,0", _ELSE, beside, _PLAIN % b"4,5,6"])
    assert model.runs == [5]
    rows = [{one["name"]: one for one in answer["outputs"]}["row"] for _, answer in got]
    assert [row["shape"] for row in rows] == [[1, 3], [2, 3], [1, 3], [1, 3]]
    assert [row["data"] for row in rows] == [[0, 0, 0], [1, 2, 3, 4, 5, 6], [7, 8, 9], [4, 5, 6]]
    assert [answer.get("id") for _, answer in got] == ["b", "b", None, "b"]


def test_who_has_left_is_not_computed_for() -> None:
    got, model, _ = infer([request([at, 0, 0]) for at in range(4)], leave=2)
    assert got[2] is None
    assert model.runs == [3]
    assert [got[at][1]["outputs"][1]["data"][0] for at in (0, 1, 3)] == [0, 1, 3]


_VALUES = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.integers(-10, 10),
    st.sampled_from([None, True, "1", 1e39, [1]]),
)
_BODIES = st.builds(
    lambda data, shape, name, id_, nest: json.dumps(
        {"inputs": [{"name": name, "shape": shape, "datatype": "FP32", "data": [data] if nest else data}]}
        | ({} if id_ is None else {"id": id_})
    ).encode(),
    st.lists(_VALUES, min_size=WIDTH - 1, max_size=WIDTH + 1),
    st.sampled_from([[1, WIDTH]] * 6 + [[1, 2], [WIDTH], [2, WIDTH]]),
    st.sampled_from(["X"] * 8 + ["x"]),
    st.sampled_from([None, None, "", "a", 'q"', 7]),
    st.booleans(),
)


@given(st.lists(_BODIES, min_size=1, max_size=6))
def test_the_quick_way_answers_what_the_usual_way_does(bodies: list[bytes]) -> None:
    quick, usual = infer(bodies)[0], infer(bodies, quick=False)[0]
    assert quick == usual


def test_a_server_starts_without_what_it_does_not_need() -> None:
    heavy = ("pydantic", "boto3", "prometheus_client", "slipway.registry", "email", "sklearn", "grpc")
    code = f"import sys, slipway.serving.server, slipway.serving.prepare; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
