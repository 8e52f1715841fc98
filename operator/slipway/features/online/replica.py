"""A copy of the embedded store's rows on this machine: one SQLite file, which readers look up in while new rows are merged into it."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from slipway.features.online import segments
from slipway.features.online.port import OnlineUnavailable
from slipway.features.online.state import OnlineState, Segment, Target
from slipway.registry import documents
from slipway.registry.errors import CorruptBlob
from slipway.storage.port import NotFound, ObjectStore
from slipway.storage.stream import read_chunks

AT_ONCE = 64
"""Keys that are looked up on the event loop itself: so many take less than handing them to a thread does."""
KEPT_SECONDS = 3600.0
"""What a copy is kept after the last change to it, once there is another base."""
_GET = "SELECT v FROM rows WHERE k = ?"
_CACHE_KIB = 8192
"""Of each thread that reads; what else is quick is the machine's page cache."""


class _Copy(threading.local):
    """One file, with a connection for each thread that reads it."""

    def __init__(self, path: Path) -> None:
        # not mode=ro: a reader may be the first to need the files beside it that several processes meet in
        self.file = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False
        )
        self.file.execute("PRAGMA query_only = 1")
        self.file.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        execute = self.file.execute
        return [found[0] if (found := execute(_GET, (key,)).fetchone()) else None for key in keys]


class Replica:
    """Implements `slipway.features.online.port.Reader`. Processes that share `cache` share the copy; one of them renews it."""

    def __init__(self, store: ObjectStore, target: Target, cache: Path) -> None:
        place = hashlib.sha256(f"{store.uri}\0{target.view}".encode()).hexdigest()[:16]
        self._folder = cache / f"{place}-{target.short}"
        self._store = store
        self._target = target
        self._renewing = threading.Lock()
        self._copy: _Copy | None = None
        self._base = ""
        self.state: OnlineState | None = None

    def refresh(self) -> None:
        """Raises the store's errors; what was there before is then read on."""
        with self._renewing:
            for attempt in range(3):
                state = self._stored()
                if state is None or state == self.state:
                    return
                try:
                    self._renew(state)
                    return
                except NotFound:  # files were made one, and the old ones removed, between the two looks
                    if attempt == 2:
                        raise

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        copy = self._copy
        if copy is None:
            return [None] * len(keys)
        try:
            return copy.get(keys)
        except sqlite3.Error as error:
            if copy is not self._copy:  # it was replaced, and removed, before this thread had looked into it
                return self.get(keys)
            raise OnlineUnavailable(f"{self._target}: the copy in {self._folder} cannot be read: {error}") from error

    async def aget(self, keys: Sequence[bytes]) -> list[bytes | None]:
        if len(keys) <= AT_ONCE:
            return self.get(keys)
        return await asyncio.get_running_loop().run_in_executor(None, self.get, keys)

    def close(self) -> None:
        self._copy = None

    def _stored(self) -> OnlineState | None:
        from slipway.features.online.embedded import state_key

        return documents.read(self._store, state_key(self._target), OnlineState)

    def _renew(self, state: OnlineState) -> None:
        if state.segments:
            base = _name(state.segments[0])
            try:
                with self._alone():
                    path = self._bring(state)
            except (OSError, sqlite3.Error) as error:
                raise OnlineUnavailable(f"{self._target}: no copy can be made in {self._folder}: {error}") from error
            if base != self._base:
                self._copy, self._base = _Copy(path), base
        else:
            self._copy, self._base = None, ""
        self.state = state

    def _bring(self, state: OnlineState) -> Path:
        """The file with all that `state` names. Other processes may read it."""
        first, *later = state.segments
        path = self._folder / f"{_name(first)}.sqlite"
        if not path.exists():
            for old in self._folder.glob("*.sqlite*"):  # other processes still look up in the one before
                with suppress(OSError):
                    if time.time() - old.stat().st_mtime > KEPT_SECONDS:
                        old.unlink()
            new = self._folder / "new"
            download(self._store, first, new)
            segments.open_for_merging(new, durable=True).close()
            new.rename(path)
        with closing(segments.open_for_merging(path, durable=True)) as file:
            for segment in later:
                if not segments.is_merged(file, _name(segment)):
                    part = self._folder / "part"
                    download(self._store, segment, part)
                    segments.merge(file, part, note=_name(segment))
                    part.unlink()
        return path

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def download(store: ObjectStore, segment: Segment, path: Path) -> None:
    """A segment's file. Raises CorruptBlob when its bytes are not those that were written, and the store's errors."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for chunk in read_chunks(store, segment.key):
            digest.update(chunk)
            file.write(chunk)
    if f"sha256:{digest.hexdigest()}" != segment.digest:
        with suppress(OSError):
            path.unlink()
        raise CorruptBlob(f"{store.uri}/{segment.key}: its bytes make sha256:{digest.hexdigest()}, not {segment.digest}")


def _name(segment: Segment) -> str:
    return segment.key.rpartition("/")[2].removesuffix(".sqlite")
