"""News of aliases that moved: empty objects whose keys say which, in the order of time.

One list of a prefix tells whoever follows thousands of aliases which of them to read. News are a hint and not the truth: a writer
that ends between the move and the news, or an older writer that knows no news, is found by the slower look at each alias.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from slipway.registry.records import AliasMove
from slipway.storage.port import ObjectStore, StorageError

PREFIX = "index/moved/"
_TIME = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True)
class News:
    """`key` is different for each move."""

    key: str
    namespace: str
    model: str
    alias: str


def announce(store: ObjectStore, move: AliasMove) -> None:
    """Tells that an alias has moved. A store that does not take it is no error: the move itself is done."""
    with suppress(StorageError):
        store.put(f"{_start(move.at)}/{move.model}/{move.alias}/{move.number:012d}", b"", content_type="text/plain")


def news(store: ObjectStore, since: datetime) -> Iterator[News]:
    """What moved at `since` or later, by the clocks of those who moved it, oldest first. One request for up to a thousand."""
    for found in store.list(PREFIX, start_after=_start(since)):
        parts = found.key.removeprefix(PREFIX).split("/")
        if len(parts) == 5:
            yield News(found.key, parts[1], parts[2], parts[3])


def forget(store: ObjectStore, before: datetime, limit: int = 1000) -> int:
    """Deletes news from before a time, at most `limit`; says how many."""
    end = _start(before)
    old = [found.key for found in store.list(PREFIX, limit=limit) if found.key < end]
    for key in old:
        store.delete(key)
    return len(old)


def _start(at: datetime) -> str:
    return f"{PREFIX}{at.astimezone(UTC).strftime(_TIME)}"
