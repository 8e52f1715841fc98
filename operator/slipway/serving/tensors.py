"""JSON values to arrays and back. Every refusal names the element."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from slipway.serving.datatypes import DTYPES, NARROW, described, json_types
from slipway.serving.errors import BadInput
from slipway.serving.signature import shape_text

Array = np.ndarray[Any, Any]

_PACKERS = 256
_packers: dict[tuple[str, int], struct.Struct] = {}
"""By datatype and number of values."""


class BadElement(BadInput):
    """One value is wrong: the one at flat position `at`, for `reason`."""

    def __init__(self, where: str, at: int, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.at = at
        self.reason = reason


def decode(data: list[Any], shape: Sequence[int], datatype: str, declared: str, field: str) -> Array:
    """The array of `shape` and `datatype` that `data` holds, flat in row-major order or nested as `shape` says.
    `declared` is the datatype that the request speaks of: its rules decide what JSON values are right. Raises BadInput,
    BadElement for a single value."""
    flat, nested = data, bool(data) and type(data[0]) is list and len(shape) > 1
    if nested:
        flat = _flatten(data, shape, field)
    size = 1
    for length in shape:
        size *= length
    if len(flat) != size:
        raise BadInput(f"{field}: {len(flat)} values, shape {shape_text(shape)} has {size}")
    kinds = json_types(declared)
    if not kinds.issuperset(map(type, flat)):
        at, value = next((at, value) for at, value in enumerate(flat) if type(value) not in kinds)
        reason = f"{shown(value)} is not {described(declared)} ({declared}){_hint(value, declared)}"
        raise BadElement(field + _place(at, shape if nested else ()), at, reason)
    try:
        with np.errstate(over="ignore"):
            array = np.array(flat, dtype=DTYPES[datatype])
    except OverflowError:
        array = None
    if array is None or (datatype in NARROW and not np.isfinite(array).all()):
        at, reason = _too_large(flat, datatype)
        raise BadElement(field + _place(at, shape if nested else ()), at, reason)
    return array.reshape(shape)


def decode_floats(data: list[Any], datatype: str) -> Array | None:
    """The values of a flat list as a 1-D FP32 or FP64 array that cannot be written to: the quick way for what most requests
    hold. None for anything that is not right, or not flat: `decode` says what."""
    key = (datatype, len(data))
    packer = _packers.get(key)
    if packer is None:
        if len(_packers) > _PACKERS:
            _packers.clear()
        packer = _packers[key] = struct.Struct(f"={len(data)}{'f' if datatype == 'FP32' else 'd'}")
    try:
        # what a float cannot hold raises here, where numpy would give infinity
        array = np.frombuffer(packer.pack(*data), dtype=DTYPES[datatype])
    except (OverflowError, struct.error):
        return None
    return None if holds_booleans(data, array) else array


def holds_booleans(data: list[Any], array: Array) -> bool:
    """Whether there is a boolean in `data`, which was packed into `array` as if it were a number."""
    return bool((array == 0).any() or (array == 1).any()) and bool in set(map(type, data))


def encode(array: Array) -> Any:
    """The values in row-major order, as orjson takes them: one contiguous 1-D array, or a list."""
    if array.dtype.kind in "OUST":
        return [str(value) for value in array.ravel()]
    return np.ascontiguousarray(array).ravel()


def shown(value: Any) -> str:
    """A JSON value for a message: short, and as it is written in JSON."""
    if value is None:
        return "null"
    if type(value) is bool:
        return str(value).lower()
    if type(value) in (list, dict):
        return "a list" if type(value) is list else "an object"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _flatten(data: list[Any], shape: Sequence[int], field: str) -> list[Any]:
    """The innermost values of `data`, nested as `shape` says."""
    if len(data) != shape[0]:
        raise BadInput(f"{field}: {len(data)} elements, shape {shape_text(shape)} has {shape[0]}")
    level = data
    for depth, length in enumerate(shape[1:], 1):
        for at, inner in enumerate(level):
            if type(inner) is not list or len(inner) != length:
                found = f"{len(inner)} elements" if type(inner) is list else shown(inner)
                where = field + _place(at, shape[:depth])
                raise BadInput(f"{where}: {found}, shape {shape_text(shape)} has a list of {length} there")
        level = list(chain.from_iterable(level))
    return level


def _place(at: int, shape: Sequence[int]) -> str:
    """The index of flat position `at` in an array of `shape`, as ``[2][0]``; ``[at]`` for flat data."""
    if not shape:
        return f"[{at}]"
    indices = []
    for length in reversed(shape):
        indices.append(at % length)
        at //= length
    return "".join(f"[{index}]" for index in reversed(indices))


def _hint(value: Any, datatype: str) -> str:
    number = datatype not in ("BYTES", "BOOL")
    if value is None:
        return "; missing values are not taken: fill them in first"
    if type(value) is bool and number:
        return f": write {int(value)}"
    if type(value) is str and number and value.strip().lstrip("-").replace(".", "", 1).isdigit():
        return ": write it without quotes"
    if type(value) is list:
        return ": nest lists as deep as shape says, or give a flat list"
    return ""


def _too_large(flat: list[Any], datatype: str) -> tuple[int, str]:
    """Place of the first value that `datatype` cannot hold, and why."""
    dtype = DTYPES[datatype]
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    low, high = (float(limits.min), float(limits.max)) if dtype.kind == "f" else (int(limits.min), int(limits.max))
    # a little beyond the largest float still rounds to it: then no value is out of range by comparison
    at = next((at for at, value in enumerate(flat) if not low <= value <= high), 0)
    span = f"{low:.4g} to {high:.4g}" if dtype.kind == "f" else f"{low} to {high}"
    return at, f"{shown(flat[at])} does not fit {datatype}, which holds {span}"
