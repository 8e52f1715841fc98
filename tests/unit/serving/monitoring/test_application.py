"""What application code takes and gives, as monitoring understands it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from slipway.serving.monitoring import columns
from slipway.serving.monitoring.application import held, named_arrays
from slipway.serving.signature import Tensor

X = Tensor("X", "FP32", (-1, 2))


def test_records_are_columns_whatever_is_in_them() -> None:
    rows: list[Any] = [
        {"n": 1, "x": 0.5, "s": "a", "list": [1, 2], "mixed": 1, "gone": None, "flag": True},
        {"n": None, "x": 2, "s": None, "list": {"b": 1}, "mixed": "z", "gone": None, "flag": False, "late": 7},
    ]
    found = {name: array.tolist() for name, array in named_arrays(rows, "X").items()}
    assert found["n"][0] == 1
    assert np.isnan(found["n"][1])
    assert (found["x"], found["s"], found["flag"]) == ([0.5, 2.0], ["a", None], [True, False])
    assert found["list"] == ["[1,2]", '{"b":1}']
    assert (found["mixed"], found["gone"]) == (["1", "z"], [None, None])
    assert np.isnan(found["late"][0])


def test_what_it_is_told_of_is_nobody_elses() -> None:
    array = np.ones((2, 2))
    found = named_arrays({"X": array, "ragged": [[1], [2, 3]]}, "X")
    array[:] = 0
    assert found.keys() == {"X"}
    assert found["X"].tolist() == [[1, 1], [1, 1]]
    assert named_arrays([1, 2], "Y")["Y"].tolist() == [1, 2]
    assert named_arrays(object(), "Y") == {}


def test_a_matrix_is_found_by_name_by_its_columns_or_alone() -> None:
    matrix = np.array([[1, 2], [3, 4]])
    by_column = {"b": np.array([2, 4]), "other": np.array(["x", "y"]), "a": np.array([1, None], dtype=object)}
    for named, names in (({"X": matrix, "Z": matrix}, ()), ({"whatever": matrix}, ())):
        (found,) = held(named, [X], names)
        np.testing.assert_array_equal(found, matrix)
        assert found.dtype == np.float32
    (found,) = held(by_column, [X], ("a", "b"))
    np.testing.assert_array_equal(found, [[1, 2], [np.nan, 4]])


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({}, "there are none"),
        ({"a": np.ones(2), "c": np.ones(2)}, "a, c are there, the model has X"),
        ({"X": np.ones((2, 3))}, r"has shape \[2, 3\], the model's is \[-1, 2\]"),
        ({"X": np.array([["a", "b"]])}, "the model's is FP32"),
    ],
)
def test_what_does_not_fit_is_said(named: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        held(named, [X], ("a", "b"))


def test_requests_that_differ_are_one_file() -> None:
    """A column that some lack is null there; one that is a number here and a text there is text."""
    parts = [
        {"id": columns.texts(["p"]), "n": columns.values(np.array([1])), "l": columns.values(np.ones((1, 2)))},
        {"id": columns.texts(["q"]), "n": columns.values(np.array([0.5])), "m": columns.values(np.array([True]))},
        {"id": columns.texts(["r"]), "m": columns.texts(["x"])},
    ]
    table = pq.read_table(io.BytesIO(columns.parquet(columns.joined(parts))))
    assert table.to_pylist() == [
        {"id": "p", "n": 1.0, "l": "[1.0, 1.0]", "m": None},
        {"id": "q", "n": 0.5, "l": None, "m": "true"},
        {"id": "r", "n": None, "l": None, "m": "x"},
    ]


def test_tensors_are_lists_as_deep_as_they_are() -> None:
    array = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    table = pq.read_table(
        io.BytesIO(columns.parquet({"t": columns.values(array), "s": columns.values(array.astype(str)[:, :, 0])}))
    )
    assert table["t"].to_pylist() == array.tolist()
    assert table["s"].to_pylist() == array.astype(str)[:, :, 0].tolist()
    times = columns.times([0.0015, 1.0])
    assert [value.timestamp() for value in times.to_pylist()] == [0.001, 1.0]
