"""Which online store is meant."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from slipway.features.errors import InvalidRequest
from slipway.features.online.embedded import EmbeddedStore
from slipway.features.online.port import OnlineStore
from slipway.storage.port import ObjectStore

CACHE = Path("~/.cache/slipway/online")
"""Where readers of the embedded store keep their copy, when nobody says otherwise."""


def connect(url: str, store: ObjectStore, *, cache: Path = CACHE, ttl: timedelta | None = None) -> OnlineStore:
    """The store at `url`, ``redis://…`` and the like; empty: the embedded one in `store`. Connects to nothing yet. Raises InvalidRequest."""
    if not url:
        return EmbeddedStore(store, cache.expanduser())
    try:
        from slipway.features.online.redis import RedisStore
    except ImportError as error:
        raise InvalidRequest("online store: the package redis is missing: install slipway[online-redis]") from error
    return RedisStore(url, ttl=ttl)
