"""Tensor datatypes of the Open Inference Protocol, and what of JSON each of them takes.

Source: https://github.com/kserve/open-inference-protocol, "Tensor Data Types".
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}
"""Datatype to the numpy type that holds it. BYTES are text: JSON strings."""

_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_FLOATS = frozenset({"FP16", "FP32", "FP64"})
NARROW: Final = frozenset({"FP16", "FP32"})
"""Datatypes that a finite JSON number may overflow without an exception."""

_KINDS: Final[dict[str, frozenset[type]]] = {
    **{name: frozenset({int}) for name in DTYPES if "INT" in name},
    **{name: frozenset({int, float}) for name in _FLOATS},
    "BOOL": frozenset({bool}),
    "BYTES": frozenset({str}),
}


def json_types(datatype: str) -> frozenset[type]:
    """Python types of the JSON values that `datatype` takes. JSON's true is no number, and 1.5 no integer."""
    return _KINDS[datatype]


def described(datatype: str) -> str:
    """What `datatype` takes, in words."""
    if datatype in _FLOATS:
        return "a number"
    return {"BOOL": "true or false", "BYTES": "a string"}.get(datatype, "an integer")


def accepts(wanted: str, sent: str) -> bool:
    """Whether a model input of datatype `wanted` takes a tensor that is declared as `sent`: the same kind of value, of
    any width (each value is checked to fit), and integers for floats."""
    return wanted == sent or (_KINDS[sent] <= _KINDS[wanted] and wanted not in ("BOOL", "BYTES"))


def datatype_of(dtype: np.dtype[Any]) -> str | None:
    """The protocol's name of a numpy type, text as BYTES; None for one that the protocol lacks."""
    return "BYTES" if dtype.kind in "UOST" else _NAMES.get(dtype)
