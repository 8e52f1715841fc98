"""Reading features of entities: keys as people write them in, values of the definition's types out."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from typing import Any

from slipway.features.definitions import FeatureView
from slipway.features.errors import BadEntity
from slipway.features.online.layout import ORDER_BYTES, event_micros, from_micros, key_layout, micros, row_layout
from slipway.features.online.port import Reader

Row = tuple[datetime, list[Any]]
"""Event time, and the values of the features in the definition's order."""


class OnlineView:
    """Rows of one view by one definition."""

    def __init__(self, view: FeatureView, reader: Reader, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.view = view
        self.reader = reader
        self._clock = clock
        self._keys, self._rows = key_layout(view), row_layout(view)
        self._age = None if view.max_age is None else view.max_age // timedelta(microseconds=1)

    def get(self, entities: Sequence[Mapping[str, Any]]) -> list[Row | None]:
        """The newest row of each entity (a value by entity key), None for those without one, or whose row is older than the TTL.
        Raises BadEntity, OnlineUnavailable."""
        return self.decode(self.reader.get(self.encode(entities)))

    async def aget(self, entities: Sequence[Mapping[str, Any]]) -> list[Row | None]:
        """The same on an event loop."""
        return self.decode(await self.reader.aget(self.encode(entities)))

    def close(self) -> None:
        """Lets connections and files go."""
        self.reader.close()

    def encode(self, entities: Sequence[Mapping[str, Any]]) -> list[bytes]:
        """Raises BadEntity."""
        names, layout = self.view.keys, self._keys
        encoded = []
        for at, entity in enumerate(entities):
            try:
                encoded.append(layout.encode([entity[name] for name in names]))
            except (KeyError, TypeError, ValueError, struct.error, OverflowError):
                encoded.append(layout.encode([self._key(at, entity, place) for place in range(len(names))]))
        return encoded

    def decode(self, rows: Sequence[bytes | None]) -> list[Row | None]:
        """What `reader` gave, with the TTL held against the clock."""
        oldest = None if self._age is None else micros(self._clock()) - self._age
        found: list[Row | None] = []
        for row in rows:
            if row is None or (oldest is not None and event_micros(row) < oldest):
                found.append(None)
            else:
                found.append((from_micros(event_micros(row)), self._rows.decode(row, ORDER_BYTES)))
        return found

    def _key(self, at: int, entity: Mapping[str, Any], place: int) -> Any:
        """A key's value as its type has it: a date may be written as text, a whole number as 7.0. Raises BadEntity."""
        key = self.view.entities[place]
        if key.name not in entity or entity[key.name] is None:
            close = get_close_matches(key.name, list(entity), n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise BadEntity(at, f"{key.name} is missing: {self.view.name} has the keys {', '.join(self.view.keys)}{hint}")
        value = entity[key.name]
        if hasattr(value, "item"):
            value = value.item()
        if isinstance(value, bytes) and key.type == "string":
            value = value.decode(errors="replace")
        if isinstance(value, float) and value.is_integer() and key.type in ("int32", "int64"):
            value = int(value)
        if isinstance(value, str) and key.type == "date":
            value = _date(value)
        bits = {"int32": 31, "int64": 63}.get(key.type)
        kinds: tuple[type, ...] = {"bool": (bool,), "string": (str,), "date": (date,)}.get(key.type, (int,))
        right = isinstance(value, kinds) and isinstance(value, bool) == (key.type == "bool") and not isinstance(value, datetime)
        if not right or (bits is not None and not -(1 << bits) <= value < 1 << bits):
            raise BadEntity(at, f"{key.name}: {value!r:.60} is not of type {key.type}")
        return value


def parse_key(text: str, kind: str) -> Any:
    """A key's value as it is typed into a command line. Raises ValueError."""
    if kind == "string":
        return text
    if kind == "bool":
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{text!r} is neither true nor false")
        return text.lower() == "true"
    return date.fromisoformat(text) if kind == "date" else int(text)


def _date(text: str) -> Any:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return text
