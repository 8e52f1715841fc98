"""A store in memory, with hooks that break it: the fake that fault tests are run on.

It keeps the promises of the port exactly (the contract tests compare it with real stores), and `before` and `after`
let a test crash a call, fail it after it was done (a time-out after commit), or make lists stale.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from slipway.storage.keys import check_key
from slipway.storage.port import Check, NotFound, ObjectInfo, Precondition, Progress, Stored, unchecked

WRITES = frozenset({"put", "put_if_absent", "put_if_match", "put_file", "delete"})


@dataclass(frozen=True)
class Call:
    """One call of the store: the port's method, its key or prefix, and its number counted from 1."""

    operation: str
    key: str
    number: int

    @property
    def writes(self) -> bool:
        """Whether the call may change the store."""
        return self.operation in WRITES


Hook = Callable[[Call], None]


@dataclass(frozen=True)
class _Entry:
    data: bytes
    etag: str
    modified: datetime
    born: int
    """Number of the write that created the key; an overwrite keeps it."""


def _no_hook(_call: Call) -> None:
    return None


def _no_lag(_call: Call) -> int:
    return 0


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryStore:
    """An `ObjectStore` whose objects live as long as it does. Thread-safe.

    `before` runs before a call is done and `after` once it is: what they raise reaches the caller, so that an error
    from `before` means *not done* and one from `after` means *done, but nobody was told*. `lag` gives, for a list
    call, how many of the newest keys it does not see yet. `calls` holds every call so far.
    """

    def __init__(self, name: str = "memory", *, clock: Callable[[], datetime] = _now) -> None:
        self.name = name
        self.before: Hook = _no_hook
        self.after: Hook = _no_hook
        self.lag: Callable[[Call], int] = _no_lag
        self.calls: list[Call] = []
        self._clock = clock
        self._objects: dict[str, _Entry] = {}
        self._writes = 0
        self._lock = threading.RLock()

    @property
    def uri(self) -> str:
        """``memory://name``."""
        return f"memory://{self.name}"

    def heal(self) -> None:
        """Takes all hooks away."""
        self.before, self.after, self.lag = _no_hook, _no_hook, _no_lag

    def snapshot(self) -> dict[str, bytes]:
        """All objects by key, sorted; counts as no call."""
        with self._lock:
            return {key: self._objects[key].data for key in sorted(self._objects)}

    def corrupt(self, key: str, data: bytes) -> None:
        """Changes an object's bytes behind everybody's back; counts as no call."""
        with self._lock:
            entry = self._objects[key]
            self._objects[key] = _Entry(data, entry.etag, entry.modified, entry.born)

    def get(self, key: str, *, if_match: str | None = None) -> Stored:
        """As the port says."""
        call = self._begin("get", key)
        with self._lock:
            entry = self._entry(key, if_match)
        self.after(call)
        return Stored(_info(key, entry), entry.data)

    def get_many(self, keys: Sequence[str]) -> Sequence[Stored | None]:
        """As the port says."""
        found: list[Stored | None] = []
        for key in keys:
            try:
                found.append(self.get(key))
            except NotFound:
                found.append(None)
        return found

    def open(self, key: str, *, offset: int = 0, if_match: str | None = None) -> BinaryIO:
        """As the port says."""
        call = self._begin("open", key)
        with self._lock:
            entry = self._entry(key, if_match)
        self.after(call)
        return io.BytesIO(entry.data[offset:])

    def head(self, key: str) -> ObjectInfo:
        """As the port says."""
        call = self._begin("head", key)
        with self._lock:
            entry = self._entry(key, None)
        self.after(call)
        return _info(key, entry)

    def put(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> ObjectInfo:
        """As the port says."""
        call = self._begin("put", key)
        with self._lock:
            info = self._write(key, data)
        self.after(call)
        return info

    def put_if_absent(self, key: str, data: bytes, *, content_type: str = "application/json") -> ObjectInfo:
        """As the port says."""
        call = self._begin("put_if_absent", key)
        with self._lock:
            if key in self._objects:
                raise Precondition(f"{self.uri}/{key} exists already")
            info = self._write(key, data)
        self.after(call)
        return info

    def put_if_match(self, key: str, data: bytes, etag: str, *, content_type: str = "application/json") -> ObjectInfo:
        """As the port says."""
        call = self._begin("put_if_match", key)
        with self._lock:
            entry = self._objects.get(key)
            if entry is None or entry.etag != etag:
                raise Precondition(f"{self.uri}/{key} is not as it was read")
            info = self._write(key, data)
        self.after(call)
        return info

    def put_file(
        self,
        key: str,
        path: Path,
        *,
        content_type: str = "application/octet-stream",
        progress: Progress | None = None,
        check: Check = unchecked,
    ) -> ObjectInfo:
        """As the port says, but the whole file is held in memory."""
        call = self._begin("put_file", key)
        data = path.read_bytes()
        check()
        with self._lock:
            info = self._write(key, data)
        if progress is not None:
            progress(len(data))
        self.after(call)
        return info

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        """As the port says."""
        call = self._begin("list", prefix)
        found = (info for info in self._visible(call) if info.key.startswith(prefix) and info.key > start_after)
        page = list(islice(found, limit))
        self.after(call)
        return iter(page)

    def list_folders(self, prefix: str) -> Iterator[str]:
        """As the port says."""
        call = self._begin("list_folders", prefix)
        tails = (info.key[len(prefix) :] for info in self._visible(call) if info.key.startswith(prefix))
        folders = sorted({tail.partition("/")[0] for tail in tails if "/" in tail})
        self.after(call)
        return iter(folders)

    def delete(self, key: str) -> None:
        """As the port says."""
        call = self._begin("delete", key)
        with self._lock:
            self._objects.pop(key, None)
        self.after(call)

    def end_unfinished(self, prefix: str, before: datetime) -> int:
        """As the port says: there are none."""
        return 0

    def _begin(self, operation: str, key: str) -> Call:
        if operation not in ("list", "list_folders"):
            check_key(key)
        with self._lock:
            call = Call(operation, key, len(self.calls) + 1)
            self.calls.append(call)
        self.before(call)
        return call

    def _entry(self, key: str, if_match: str | None) -> _Entry:
        entry = self._objects.get(key)
        if entry is None:
            raise NotFound(f"no object {self.uri}/{key}")
        if if_match is not None and entry.etag != if_match:
            raise Precondition(f"{self.uri}/{key} has changed")
        return entry

    def _write(self, key: str, data: bytes) -> ObjectInfo:
        self._writes += 1
        old = self._objects.get(key)
        born = old.born if old is not None else self._writes
        self._objects[key] = entry = _Entry(bytes(data), f"{self._writes:x}", self._clock(), born)
        return _info(key, entry)

    def _visible(self, call: Call) -> Sequence[ObjectInfo]:
        lag = self.lag(call)
        with self._lock:
            newest = sorted(self._objects, key=lambda key: self._objects[key].born)[-lag:] if lag else []
            return [_info(key, self._objects[key]) for key in sorted(self._objects) if key not in newest]


def _info(key: str, entry: _Entry) -> ObjectInfo:
    return ObjectInfo(key, len(entry.data), entry.etag, entry.modified)
