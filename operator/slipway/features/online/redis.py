"""The online store in Redis or Valkey (6.2 or later). The only importer of `redis`.

::

    slipway:features:<namespace>/<view>        hash: state by definition
    slipway:rows:<generation>:<entity key>     a row; goes away with its TTL

A row is written by a script that compares before it writes, so that writers beside each other, and one that comes late, do no harm.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import redis
import redis.asyncio
from redis.exceptions import AuthenticationError, RedisError, ResponseError, WatchError

from slipway.features.errors import InvalidRequest
from slipway.features.online.layout import event_micros
from slipway.features.online.port import LostMaterialization, OnlineUnavailable, Reader, Rows
from slipway.features.online.state import OnlineState, Target
from slipway.registry import documents

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 1.0
"""Longer than that a request does not wait: it is answered that its features cannot be had."""
WRITE_SECONDS = 60.0
CONNECTIONS = 256
"""Of one view in one process: as many reads may be under way at once."""
AGAIN_SECONDS = 1.0
"""After a failure so long no other request tries: a server that is away must not hold all of them up."""
CALL = 500
"""Rows written by one call."""
SLACK = timedelta(hours=1)
"""What a row is kept beyond its TTL, which is held against the reader's own clock: clocks differ."""
OLD_GENERATION = timedelta(minutes=2)
"""What replaced rows are kept: readers look every few seconds which are to be read."""

_PUT = """
for i = 1, #KEYS do
  local new, till = ARGV[2 * i - 1], ARGV[2 * i]
  local old = redis.call('GETRANGE', KEYS[i], 0, 31)
  local later = #old == 0
  for at = 1, #old do
    local a, b = string.byte(new, at), string.byte(old, at)
    if a ~= b then later = a > b break end
  end
  if later then
    if till == '' then redis.call('SET', KEYS[i], new) else redis.call('SET', KEYS[i], new, 'PXAT', till) end
  end
end
"""


class RedisStore:
    """`url` as ``redis://[user:password@]host:port/database``, or rediss, valkey, valkeys. `ttl`: the age beyond which no reader wants
    a row. Raises InvalidRequest for a URL that is none."""

    def __init__(self, url: str, *, ttl: timedelta | None = None) -> None:
        self._url = checked(url)
        self._ttl = ttl
        self._client = redis.Redis.from_url(
            self._url, socket_timeout=WRITE_SECONDS, socket_connect_timeout=CONNECT_SECONDS, protocol=2
        )
        self._put = self._client.register_script(_PUT)

    @property
    def shown(self) -> str:
        return shown(self._url)

    def state(self, target: Target) -> OnlineState | None:
        with self._errors():
            return _state(self._client.hget(_hash(target), target.definition), self.shown)

    def definitions(self, target: Target) -> list[str]:
        with self._errors():
            return sorted(_short(field) for field in self._client.hkeys(_hash(target)))

    def write(
        self,
        target: Target,
        before: OnlineState | None,
        after: OnlineState,
        rows: Iterable[Rows],
        *,
        replace: bool,
        oldest: datetime | None,
    ) -> OnlineState:
        generation = uuid4().hex[:12] if replace or before is None or not before.generation else before.generation
        stored = after.model_copy(update={"generation": generation})
        with self._errors():
            for keys, values in rows:
                self._write(generation, keys, values)
            self._commit(target, before, stored)
            if before is not None and before.generation not in ("", generation):
                self._expire(before.generation)
        return stored

    def reader(self, target: Target) -> Reader:
        return RedisReader(self._url, target)

    def _write(self, generation: str, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        prefix = _prefix(generation)
        pipeline = self._client.pipeline(transaction=False)
        for start in range(0, len(keys), CALL):
            names = [prefix + key for key in keys[start : start + CALL]]
            given: list[Any] = []
            for value in values[start : start + CALL]:
                given += (value, self._till(value))
            self._put(keys=names, args=given, client=pipeline)
            if len(pipeline) >= 8:
                pipeline.execute()
        pipeline.execute()

    def _till(self, value: bytes) -> int | str:
        return "" if self._ttl is None else (event_micros(value) + (self._ttl + SLACK) // timedelta(microseconds=1)) // 1000

    def _commit(self, target: Target, before: OnlineState | None, after: OnlineState) -> None:
        key = _hash(target)
        with self._client.pipeline() as pipeline:
            try:
                pipeline.watch(key)  # type: ignore[no-untyped-call]
                if _state(pipeline.hget(key, target.definition), self.shown) != before:
                    raise LostMaterialization(f"{target}: another materialisation was done meanwhile")
                pipeline.multi()
                pipeline.hset(key, target.definition, after.to_json())
                pipeline.execute()
            except WatchError as error:
                raise LostMaterialization(f"{target}: another materialisation was done meanwhile") from error

    def _expire(self, generation: str) -> None:
        """Lets the rows of a replaced generation go, a little later."""
        with suppress(RedisError):  # whoever cleans up after a person's own rules finds them by their prefix
            pipeline = self._client.pipeline(transaction=False)
            for key in self._client.scan_iter(match=_prefix(generation) + b"*", count=1000):
                pipeline.pexpire(key, OLD_GENERATION)
                if len(pipeline) >= 1000:
                    pipeline.execute()
            pipeline.execute()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            raise _told(self.shown, error) from error


class RedisReader:
    """Implements `slipway.features.online.port.Reader`."""

    def __init__(self, url: str, target: Target) -> None:
        self._url = url
        self._target = target
        wait: dict[str, Any] = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": CONNECT_SECONDS, "protocol": 2}
        self._client = redis.Redis.from_url(url, **wait)
        self._later: redis.asyncio.Redis | None = None
        self._wait = wait
        self._closed_until = 0.0
        self._prefix = b""
        self.state: OnlineState | None = None

    def refresh(self) -> None:
        with self._errors():
            found = _state(self._client.hget(_hash(self._target), self._target.definition), shown(self._url))
        self._prefix = _prefix(found.generation) if found is not None else b""
        self.state = found

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        prefix = self._prefix
        if not prefix or not keys:
            return [None] * len(keys)
        with self._errors():
            found: Any = self._client.mget([prefix + key for key in keys])
        return list(found)

    async def aget(self, keys: Sequence[bytes]) -> list[bytes | None]:
        prefix = self._prefix
        if not prefix or not keys:
            return [None] * len(keys)
        if self._later is None:  # made here: it belongs to the loop that it is first used on
            self._later = redis.asyncio.Redis.from_url(self._url, max_connections=CONNECTIONS, **self._wait)
        async with self._aerrors():
            found: Any = await self._later.mget([prefix + key for key in keys])
        return list(found)

    def close(self) -> None:
        with suppress(RedisError, OSError):
            self._client.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        if time.monotonic() < self._closed_until:
            raise OnlineUnavailable(f"{shown(self._url)} did not answer a moment ago")
        try:
            yield
        except (RedisError, OSError) as error:
            self._closed_until = time.monotonic() + AGAIN_SECONDS
            raise _told(shown(self._url), error) from error

    @asynccontextmanager
    async def _aerrors(self) -> AsyncIterator[None]:
        with self._errors():
            yield


def checked(url: str) -> str:
    """The URL as the client takes it. Raises InvalidRequest, which shows no password."""
    scheme, _, rest = url.strip().partition("://")
    known = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss"}
    made = f"{known.get(scheme, '')}://{rest}"
    try:
        parts = urlsplit(made)
        good = scheme in known and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        good = good and (not parts.path.strip("/") or parts.path.strip("/").isdigit())
    except ValueError:
        good = False
    if not good:
        raise InvalidRequest(
            "online store: write redis://host:6379/0, or rediss:// for TLS; valkey:// and valkeys:// are the same"
        )
    return made


def shown(url: str) -> str:
    """The URL without user and password."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def _told(where: str, error: Exception) -> OnlineUnavailable:
    if isinstance(error, AuthenticationError) or "NOPERM" in str(error) or "NOAUTH" in str(error):
        return OnlineUnavailable(f"{where} refuses: the user or its password is not right, or may not do this")
    if isinstance(error, ResponseError):
        return OnlineUnavailable(f"{where} refuses: {' '.join(str(error).split())[:200]}")
    return OnlineUnavailable(f"{where} does not answer: {' '.join(str(error).split())[:200] or type(error).__name__}")


def _state(data: Any, where: str) -> OnlineState | None:
    return None if data is None else documents.load(OnlineState, data, where)


def _hash(target: Target) -> str:
    return f"slipway:features:{target.view}"


def _prefix(generation: str) -> bytes:
    return f"slipway:rows:{generation}:".encode()


def _short(definition: Any) -> str:
    return str(definition, "utf-8").removeprefix("sha256:")[:16]
