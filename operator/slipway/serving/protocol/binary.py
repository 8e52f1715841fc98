"""The binary tensor extension of the Open Inference Protocol: after a request's JSON the bytes of its tensors, one after
the other, little-endian and row-major; a BYTES tensor as a 4-byte length before each element. Pure.

Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from slipway.serving.datatypes import DTYPES, NARROW
from slipway.serving.errors import BadInput
from slipway.serving.memory import BINARY_FACTOR, LARGE, demand
from slipway.serving.signature import shape_text
from slipway.serving.tensors import Array

HEADER = "inference-header-content-length"
"""Name of the header that says how long the JSON is."""


class Tail:
    """What follows the JSON of a request, taken piece by piece."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int, field: str) -> memoryview:
        """The next `size` bytes. Raises BadInput when there are fewer."""
        left = len(self._data) - self._at
        if size > left:
            raise BadInput(f"{field}: {size} bytes, {left} are left in the body")
        piece = self._data[self._at : self._at + size]
        self._at += size
        return piece

    def end(self) -> None:
        """Raises BadInput when bytes are left over."""
        if self._at != len(self._data):
            raise BadInput(f"body: {len(self._data) - self._at} bytes more than the inputs' binary_data_size say")


def split(body: bytes, length: str) -> tuple[memoryview, Tail]:
    """The JSON and the rest of a body; `length` is the header's value. Raises BadInput, MemoryError."""
    if not (length.isascii() and length.isdigit() and len(length) < 16):
        raise BadInput(f"{HEADER}: {length[:40]!r} is no number of bytes")
    end = int(length)
    if end > len(body):
        raise BadInput(f"{HEADER}: {end} bytes of JSON, the body has {len(body)}")
    if len(body) >= LARGE:
        demand(len(body) - end, BINARY_FACTOR)
    view = memoryview(body)
    return view[:end], Tail(view[end:])


def from_bytes(data: memoryview, shape: Sequence[int], datatype: str, declared: str, field: str) -> Array:
    """The array of `shape` and `datatype` in `data`, which holds it as `declared`. Shares memory with `data` where that
    is possible. Raises BadInput."""
    count = 1
    for length in shape:
        count *= length
    if declared == "BYTES":
        return _texts(data, count, shape, field)
    dtype = DTYPES[declared]
    if len(data) != count * dtype.itemsize:
        raise BadInput(f"{field}: {len(data)} bytes, shape {shape_text(shape)} of {declared} has {count * dtype.itemsize}")
    stored = np.dtype(np.uint8) if declared == "BOOL" else dtype.newbyteorder("<")
    array: Array = np.frombuffer(data, dtype=stored)
    if declared == "BOOL":
        array = array != 0
    if declared != datatype:
        array = _converted(array, datatype, field)
    return array.reshape(tuple(shape))


def to_bytes(array: Array) -> bytes:
    """The bytes of a tensor; text as UTF-8."""
    if array.dtype.kind in "OUST":
        pieces: list[bytes] = []
        for value in array.ravel():
            text = str(value).encode()
            pieces += (struct.pack("<I", len(text)), text)
        return b"".join(pieces)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()


def _texts(data: memoryview, count: int, shape: Sequence[int], field: str) -> Array:
    values: list[str] = []
    at, end = 0, len(data)
    while at < end:
        if at + 4 > end:
            raise BadInput(f"{field}: element {len(values)} is cut off in its length")
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        if at + length > end:
            raise BadInput(f"{field}: element {len(values)} says {length} bytes, {end - at} are left")
        try:
            values.append(str(data[at : at + length], "utf-8"))
        except UnicodeDecodeError as error:
            raise BadInput(f"{field}: element {len(values)} is no UTF-8") from error
        at += length
        if len(values) > count:
            break
    if len(values) != count:
        more = "more than " if len(values) > count else ""
        raise BadInput(f"{field}: {more}{min(len(values), count)} elements, shape {shape_text(shape)} has {count}")
    array = np.empty(count, dtype=object)
    array[:] = values
    return array.reshape(tuple(shape))


def _converted(array: Array, datatype: str, field: str) -> Array:
    """`array` in the model's datatype; every value must fit."""
    dtype: np.dtype[Any] = DTYPES[datatype]
    with np.errstate(over="ignore", invalid="ignore"):
        converted = array.astype(dtype)
    if dtype.kind in "iu":
        bad = converted.astype(object) != array.astype(object)
    elif datatype in NARROW and array.dtype.kind == "f":
        bad = np.isinf(converted) & ~np.isinf(array)
    else:
        return converted
    if bad.any():
        at = int(np.argmax(bad))
        raise BadInput(f"{field}: element {at} is {array[at]}, which does not fit {datatype}")
    return converted
