"""How entity keys and rows become bytes. The same in every online store, and the same on every machine.

A row is its place in the order (32 bytes: event time, created time, time of ingestion, place in the batch; compared as bytes they
compare as the point-in-time rule says) and its values: one bit for each that is null, all that have a fixed length, then the
others. Pure.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

from slipway.features.definitions import LIST, FeatureView

ORDER_BYTES = 32
_ORDER = struct.Struct(">4Q")
_EVENT = struct.Struct(">Q")
_ZERO = 1 << 63
"""Added to a signed number, so that numbers compare as bytes."""
FIXED = {"bool": "?", "int32": "i", "int64": "q", "float32": "f", "float64": "d", "date": "i", "timestamp": "q"}
_LENGTH = "I"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = date(1970, 1, 1)
_PACKED, _TEXT = b"P", b"J"


class Layout:
    """Values of some types, in their order. `nulls`: whether a value may be missing."""

    def __init__(self, types: Sequence[str], *, nulls: bool) -> None:
        self.types = tuple(types)
        self.nulls = nulls
        self.bitmap = (len(types) + 7) // 8 if nulls else 0
        self.varying = tuple(at for at, name in enumerate(types) if name not in FIXED)
        """Places of the values that have no fixed length: their lengths stand where a fixed one would."""

    @cached_property
    def fixed(self) -> struct.Struct:
        """The bits for nulls and all fixed values."""
        codes = "".join(FIXED.get(name, _LENGTH) for name in self.types)
        return struct.Struct(f"<{self.bitmap}s{codes}" if self.nulls else f"<{codes}")

    def encode(self, values: Sequence[Any]) -> bytes:
        """One row's values. Raises ValueError, TypeError, struct.error for what is not of the type."""
        fields: list[Any] = []
        tail: list[bytes] = []
        missing = 0
        for at, (name, value) in enumerate(zip(self.types, values, strict=True)):
            if value is None:
                if not self.nulls:
                    raise ValueError("is missing")
                missing |= 1 << at
            if name in FIXED:
                fields.append(_plain(name, value) if value is not None else 0)
            else:
                data = bytes_of(name, value) if value is not None else b""
                fields.append(len(data))
                tail.append(data)
        head = [missing.to_bytes(self.bitmap, "little")] if self.nulls else []
        return b"".join([self.fixed.pack(*head, *fields), *tail])

    def decode(self, data: bytes, start: int = 0) -> list[Any]:
        """The values that `encode` was given; timestamps in UTC."""
        fields = list(self.fixed.unpack_from(data, start))
        missing = int.from_bytes(fields.pop(0), "little") if self.nulls else 0
        end = start + self.fixed.size
        for at in self.varying:
            begin, end = end, end + fields[at]
            fields[at] = _value_of(self.types[at], data[begin:end])
        for at, name in enumerate(self.types):
            if missing >> at & 1:
                fields[at] = None
            elif name == "timestamp":
                fields[at] = _EPOCH + timedelta(microseconds=fields[at])
            elif name == "date":
                fields[at] = _DAY + timedelta(days=fields[at])
        return fields


def key_layout(view: FeatureView) -> Layout:
    """Of the view's entity keys."""
    return Layout([entity.type for entity in view.entities], nulls=False)


def row_layout(view: FeatureView) -> Layout:
    """Of the view's features."""
    return Layout([feature.type for feature in view.features], nulls=True)


def order(event: int, created: int, ingested: int, row: int) -> bytes:
    """The place of a row: times in microseconds since 1970."""
    return _ORDER.pack(event + _ZERO, created + _ZERO, ingested + _ZERO, row + _ZERO)


def event_micros(data: bytes) -> int:
    """The event time of a row, in microseconds since 1970."""
    micros: int = _EVENT.unpack_from(data)[0]
    return micros - _ZERO


def event_bytes(time: datetime) -> bytes:
    """An event time as a row begins with it."""
    return _EVENT.pack(micros(time) + _ZERO)


def micros(time: datetime) -> int:
    """Microseconds since 1970."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def from_micros(value: int) -> datetime:
    """The time, in UTC."""
    return _EPOCH + timedelta(microseconds=value)


def _plain(name: str, value: Any) -> Any:
    """A fixed value as `struct` takes it. Raises TypeError for another type: true is no number, a number is no text."""
    if name == "timestamp":
        return micros(value) if isinstance(value, datetime) else _wrong(name, value)
    if name == "date":
        if isinstance(value, datetime) or not isinstance(value, date):
            return _wrong(name, value)
        return (value - _DAY).days
    wanted: tuple[type, ...] = {"bool": (bool,), "int32": (int,), "int64": (int,)}.get(name, (int, float))
    if not isinstance(value, wanted) or (isinstance(value, bool) and name != "bool"):
        return _wrong(name, value)
    return value


def bytes_of(name: str, value: Any) -> bytes:
    if name == "string":
        return value.encode() if isinstance(value, str) else _wrong(name, value)
    if name == "binary":
        return bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else _wrong(name, value)
    items = list(value)
    code = FIXED.get(_element(name))
    if code is not None and not any(item is None for item in items):
        return _PACKED + struct.pack(f"<{len(items)}{code}", *items)
    return _TEXT + json.dumps(items).encode()


def _value_of(name: str, data: bytes) -> Any:
    if name == "string":
        return data.decode()
    if name == "binary" or not data:
        return data
    if data[:1] == _TEXT:
        return json.loads(data[1:])
    code = FIXED[_element(name)]
    return list(struct.unpack(f"<{(len(data) - 1) // struct.calcsize('<' + code)}{code}", data[1:]))


def _element(name: str) -> str:
    listed = LIST.fullmatch(name)
    assert listed is not None
    return listed.group(1)


def _wrong(name: str, value: Any) -> Any:
    raise TypeError(f"{value!r:.60} is not of type {name}")
