"""Malformed bytes: whatever comes in, a request is taken or refused with a 4xx; nothing else is raised."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from slipway.serving.datatypes import DTYPES
from slipway.serving.errors import HTTPError
from slipway.serving.protocol import v2
from slipway.serving.protocol.binary import split
from slipway.serving.protocol.body import read_object
from slipway.serving.protocol.encodings import decoded
from slipway.serving.signature import Signature, Tensor

KINDS = sorted(DTYPES)
SIGNATURES = [
    Signature((Tensor("X", kind, (-1, 2)),), (Tensor("Y", "FP32", (-1,)),)) for kind in KINDS
] + [Signature((Tensor("X", "BYTES", (-1,)), Tensor("Z", "FP64", (-1, -1))), (Tensor("Y", "FP32", (-1,)),))]  # fmt: skip
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "data", "x"]), inner, max_size=3),
    max_leaves=8,
)
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["X", "Z", "W"]) | ANYTHING,
        "datatype": st.sampled_from(KINDS) | ANYTHING,
        "shape": st.lists(st.integers(-1, 4), max_size=3) | ANYTHING,
    },
    optional={
        "data": st.lists(st.integers(-300, 300) | st.floats(allow_nan=False, allow_infinity=False), max_size=9) | ANYTHING,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": st.integers(-1, 40) | ANYTHING}) | ANYTHING,
    },
)
REQUESTS = st.fixed_dictionaries(
    {"inputs": st.lists(TENSORS, max_size=3) | ANYTHING},
    optional={
        "id": ANYTHING,
        "outputs": st.lists(st.fixed_dictionaries({"name": st.just("Y") | ANYTHING}, optional={"parameters": ANYTHING}))
        | ANYTHING,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_output": ANYTHING}) | ANYTHING,
    },
)


@given(request=REQUESTS, rest=st.binary(max_size=64), shift=st.integers(-3, 3), signature=st.sampled_from(SIGNATURES))
def test_a_request_is_taken_or_refused(request: object, rest: bytes, shift: int, signature: Signature) -> None:
    start = json.dumps(request).encode()
    try:
        head, tail = split(start + rest, str(len(start) + shift))
        taken = v2.read_infer(read_object(head), signature, 10, tail)
    except HTTPError as error:
        assert 400 <= error.status < 500
        assert error.message
    else:
        for array, tensor in zip(taken.arrays, signature.inputs, strict=True):
            assert array.dtype == tensor.dtype
            assert array.ndim == len(tensor.shape)


@given(body=st.binary(max_size=80), length=st.text(max_size=6) | st.integers(0, 90).map(str))
def test_plain_bytes_are_refused(body: bytes, length: str) -> None:
    try:
        head, tail = split(body, length)
        v2.read_infer(read_object(head), SIGNATURES[0], 10, tail)
    except HTTPError as error:
        assert 400 <= error.status < 500
    else:
        raise AssertionError("no such bytes are a request")


@given(
    values=st.lists(st.floats(width=32), min_size=2, max_size=8).filter(lambda v: len(v) % 2 == 0),
    kind=st.sampled_from(["FP32", "FP64"]),
)
def test_floats_survive(values: list[float], kind: str) -> None:
    array = np.array(values, dtype=DTYPES[kind]).reshape(-1, 2)
    entry = {"name": "X", "datatype": kind, "shape": list(array.shape), "parameters": {"binary_data_size": array.nbytes}}
    start = json.dumps({"inputs": [entry]}).encode()
    head, tail = split(start + array.tobytes(), str(len(start)))
    signature = SIGNATURES[KINDS.index("FP32")]
    np.testing.assert_array_equal(v2.read_infer(read_object(head), signature, 10, tail).arrays[0], array.astype(np.float32))


@given(body=st.binary(max_size=60), encoding=st.sampled_from(["gzip", "deflate", "br", "identity", ""]) | st.text(max_size=8))
def test_compressed_bytes_are_taken_or_refused(body: bytes, encoding: str) -> None:
    try:
        assert len(decoded(body, encoding, 1000)) <= 1000
    except HTTPError as error:
        assert error.status in (400, 413, 415)
