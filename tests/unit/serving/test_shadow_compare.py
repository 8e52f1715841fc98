"""When two answers agree."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import orjson
import pytest

from slipway.serving.protocol.binary import to_bytes
from slipway.serving.shadow.compare import MAX_ROWS, Comparison, NotComparable, compare, read_rows


def v2(**outputs: tuple[str, list[int], list[Any]]) -> bytes:
    found = [{"name": name, "datatype": kind, "shape": shape, "data": data} for name, (kind, shape, data) in outputs.items()]
    return orjson.dumps({"model_name": "m", "outputs": found})


def predictions(*rows: Any) -> bytes:
    return orjson.dumps({"predictions": rows})


def of(one: bytes, other: bytes, tolerance: float = 0.01) -> Comparison:
    return compare(read_rows(one), read_rows(other), tolerance)


def test_labels_decide_and_scores_are_a_distance() -> None:
    stable = v2(label=("INT64", [3], [0, 1, 1]), scores=("FP32", [3, 2], [0.9, 0.1, 0.2, 0.8, 0.4, 0.6]))
    other = v2(label=("INT64", [3], [0, 1, 0]), scores=("FP32", [3, 2], [0.7, 0.3, 0.2, 0.8, 0.6, 0.4]))
    found = of(stable, other)
    assert (found.rows, found.agreed) == (3, 2)
    assert found.distance == pytest.approx(0.2 + 0.0 + 0.2)


@pytest.mark.parametrize(("value", "agrees"), [(100.0, True), (100.9, True), (102.0, False), (math.nan, False)])
def test_numbers_alone_agree_within_the_tolerance(value: float, agrees: bool) -> None:
    found = compare([((), (100.0,))], [((), (value,))], 0.01)
    assert found.agreed == agrees
    assert math.isfinite(found.distance)


def test_two_nans_are_the_same() -> None:
    assert compare([((), (math.nan,))], [((), (math.nan,))], 0.0) == Comparison(1, 1, 0.0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (v2(a=("FP32", [1], [1.0])), v2(b=("FP32", [1], [1.0]))),
        (v2(a=("FP32", [2], [1.0, 1.0])), v2(a=("FP32", [1], [1.0]))),
        (v2(a=("FP32", [1, 2], [1.0, 1.0])), v2(a=("FP32", [1], [1.0]))),
        (v2(a=("BYTES", [1], ["cat"])), v2(a=("BYTES", [1], ["dog"]))),
        (predictions({"label": "cat", "score": 0.5}), predictions({"class": "cat", "score": 0.5})),
        (predictions(1), predictions(2)),
    ],
    ids=["other outputs", "fewer rows", "narrower", "other text", "other columns", "other label"],
)
def test_what_is_something_else_does_not_agree(one: bytes, other: bytes) -> None:
    assert of(one, other).agreed == 0
    assert of(one, one).agreed == of(one, one).rows > 0


def test_v1_and_records_are_compared_by_rows() -> None:
    assert of(predictions(0, 1, 1), predictions(0, 1, 0)).agreed == 2
    assert of(predictions([0.5, 1.0]), predictions([0.5, 1.001])).agreed == 1
    assert of(predictions({"label": "cat", "p": 0.9}), predictions({"label": "cat", "p": 0.1})) == Comparison(1, 1, 0.8)


def test_binary_tensors_are_read() -> None:
    array = np.array([[1.5, 2.5]], dtype=np.float32)
    data = to_bytes(array)
    output = {"name": "Y", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": len(data)}}
    head = orjson.dumps({"outputs": [output]})
    rows = read_rows(head + data, len(head))
    assert rows[0][1] == (1.5, 2.5)
    assert compare(rows, read_rows(v2(Y=("FP32", [1, 2], [1.5, 2.5]))), 0.0).agreed == 1


def test_of_a_large_answer_the_first_rows_are_looked_at() -> None:
    assert len(read_rows(v2(a=("FP32", [5000], [1.0] * 5000)))) == MAX_ROWS


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"outputs": []}', b'{"outputs": 7}', b'{"predictions": null}', b"\xff"])
def test_what_is_no_answer_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(NotComparable):
        read_rows(body)
