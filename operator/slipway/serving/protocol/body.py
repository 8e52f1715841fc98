"""The JSON of a request: read strictly, with errors that say where."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import orjson

from slipway.serving.errors import BadInput
from slipway.serving.memory import JSON_FACTOR, LARGE, demand

_MEMORY = "Not enough memory"
_NOT_FINITE = re.compile(rb"[\[,:\s]-?(?:NaN|Infinity|nan|inf)\b")


def read_object(body: bytes | memoryview) -> dict[str, Any]:
    """The JSON object in `body`. Raises BadInput, MemoryError."""
    value = read_json(body)
    if type(value) is not dict:
        raise BadInput(f"body: a JSON object belongs here, not {kind_of(value)}")
    return value


def read_json(body: bytes | memoryview) -> Any:
    """The JSON value in `body`. Raises BadInput, MemoryError."""
    if len(body) >= LARGE:
        demand(len(body), JSON_FACTOR)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if _MEMORY in error.msg:
            raise MemoryError(error.msg) from error
        raise BadInput(f"body: {_explain(bytes(body), error)}") from error


def kind_of(value: Any) -> str:
    """What kind of JSON `value` is, in words."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def suggest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` when a known name looks like `name`, else nothing."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def listed(names: Iterable[str], limit: int = 5) -> str:
    """Names for a message: the first few, and how many more."""
    every = list(names)
    more = f" and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(repr(name) for name in every[:limit]) + more


def _explain(body: bytes, error: orjson.JSONDecodeError) -> str:
    if not body.strip():
        return "empty, JSON belongs here"
    if body.startswith(b"\x1f\x8b"):
        return "compressed; send it as plain JSON"
    if "infinity" in error.msg or _NOT_FINITE.search(body):
        return "NaN and Infinity are no JSON, and no input of a model"
    if "depth" in error.msg or "recursion" in error.msg:
        return "nested too deep"
    return f"not JSON: {error.msg}"[:300]
