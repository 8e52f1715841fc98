"""Requests to arrays and back, without a server: the quick ways give what the thorough ones give."""

from __future__ import annotations

import json

import numpy as np
import orjson
import pytest

from slipway.serving.errors import BadInput, HTTPError
from slipway.serving.protocol import v2
from slipway.serving.protocol.binary import Tail, from_bytes, split, to_bytes
from slipway.serving.protocol.encodings import decoded
from slipway.serving.signature import Signature, Tensor
from slipway.serving.tensors import decode, decode_floats

FLOATS = Signature((Tensor("X", "FP32", (-1, 2)),), (Tensor("Y", "FP32", (-1, 2)), Tensor("L", "INT64", (-1,))))


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
@pytest.mark.parametrize("values", [[1, 2.5, -3e-40, 0], [0.1, 1e38, -1e-45, 123456789]])
def test_quick_floats_are_the_thorough_ones(values: list[float], datatype: str) -> None:
    quick = decode_floats(values, datatype)
    assert quick is not None
    np.testing.assert_array_equal(quick, decode(values, (4,), datatype, datatype, "data"))
    assert quick.dtype == decode(values, (4,), datatype, datatype, "data").dtype


@pytest.mark.parametrize("values", [[True], [None], ["1"], [[1.0]], [1e39], [10**400], [{}]])
def test_quick_floats_leave_what_is_wrong_to_the_thorough(values: list[object]) -> None:
    assert decode_floats(values, "FP32") is None


def test_single_rows_are_written_as_the_general_way_writes_them() -> None:
    writer = v2.InferWriter("m", "1")
    outputs = [
        (Tensor("Y", "FP32", (-1, 2)), np.array([[1.5, np.nan], [0.1, 3e38]], dtype=np.float32)),
        (Tensor("L", "INT64", (-1,)), np.array([1, -7])),
        (Tensor("T", "BYTES", (-1,)), np.array(['a],["b', "ä"], dtype=object)),
    ]
    for some in (outputs[:1], outputs[1:2], outputs[:2], outputs, outputs[2:]):
        together = writer.write_single_rows(some, ["a", None])
        assert together is not None
        for row, text in enumerate(together):
            alone, _ = writer.write([(tensor, array[row : row + 1]) for tensor, array in some], ["a", None][row])
            assert json.loads(text) == json.loads(alone)


def test_what_cannot_be_cut_apart_is_left_to_the_general_way() -> None:
    cube = np.zeros((2, 2, 2), dtype=np.float32)
    assert v2.InferWriter("m", "1").write_single_rows([(Tensor("Y", "FP32", (-1, 2, 2)), cube)], [None, None]) is None


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, -2], [3, 4]], dtype=np.float32),
        np.array([True, False]),
        np.array([2**63 - 1, -(2**63)]),
        np.array(["", "ä€", "x" * 1000], dtype=object),
        np.array([1, 65504], dtype=np.float16),
    ],
)
def test_binary_there_and_back(array: np.ndarray) -> None:  # type: ignore[type-arg]
    datatype = {"f4": "FP32", "f2": "FP16", "i8": "INT64", "b1": "BOOL", "O8": "BYTES"}[
        array.dtype.str[1:].replace("O", "O8")[:2]
    ]
    back = from_bytes(memoryview(to_bytes(array)), array.shape, datatype, datatype, "data")
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    ("body", "length", "message"),
    [
        (b"{}", "x", "no number of bytes"),
        (b"{}", "-1", "no number of bytes"),
        (b"{}", "9", "9 bytes of JSON, the body has 2"),
    ],
)
def test_a_wrong_json_length_is_named(body: bytes, length: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        split(body, length)


def binary_request(size: object, data: bytes, datatype: str = "FP32", shape: tuple[int, ...] = (1, 2)) -> v2.InferRequest:
    parameters = {"binary_data_size": size}
    body = {"inputs": [{"name": "X", "shape": list(shape), "datatype": datatype, "parameters": parameters}]}
    return v2.read_infer(body, FLOATS, 10, Tail(memoryview(data)))


def test_a_binary_tensor_of_another_width_is_taken() -> None:
    given = binary_request(16, np.array([1.5, 2.5]).tobytes(), "FP64")
    assert given.arrays[0].tolist() == [[1.5, 2.5]]
    assert given.arrays[0].dtype == np.float32


@pytest.mark.parametrize(
    ("size", "data", "message"),
    [
        (9, b"\0" * 8, "9 bytes, 8 are left"),
        (4, b"\0" * 4, "4 bytes, shape"),
        (8, b"\0" * 9, "1 bytes more"),
        ("8", b"\0" * 8, "a number of bytes"),
        (-8, b"\0" * 8, "a number of bytes"),
        (True, b"\0", "a number of bytes"),
    ],
)
def test_wrong_binary_sizes_are_named(size: object, data: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        binary_request(size, data)


def test_a_binary_value_that_does_not_fit_is_named() -> None:
    with pytest.raises(BadInput, match=r"element 1 is 1e\+300, which does not fit FP32"):
        binary_request(16, np.array([1.5, 1e300]).tobytes(), "FP64")


def test_binary_without_its_header_is_named() -> None:
    body = {"inputs": [{"name": "X", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}]}
    with pytest.raises(BadInput, match="Inference-Header-Content-Length"):
        v2.read_infer(body, FLOATS, 10)


def test_a_compressed_bomb_is_refused() -> None:
    import zlib

    with pytest.raises(HTTPError, match="when unpacked") as error:
        decoded(zlib.compress(bytes(10_000_000)), "deflate", 1_000_000)
    assert error.value.status == 413


def test_binary_outputs_follow_their_header() -> None:
    arrays = [(Tensor("Y", "FP32", (-1, 2)), np.array([[1, 2]], dtype=np.float32)), (Tensor("L", "INT64", (-1,)), np.array([3]))]
    body, length = v2.InferWriter("m", "1").write(arrays, "id", (True, False))
    assert length is not None
    head = orjson.loads(body[:length])
    assert head["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert head["outputs"][1]["data"] == [3]
    assert body[length:] == arrays[0][1].tobytes()
