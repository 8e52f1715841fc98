"""The online store that needs no server: files of rows in the registry's bucket, each materialisation's beside the others.

::

    features/<namespace>/<view>/online/<definition>/state.json        what counts: the files, in their order
    features/<namespace>/<view>/online/<definition>/rows/<id>.sqlite  the rows of one materialisation

A materialisation uploads only the rows that are new; when those of several make up a good part of the whole, it makes one file
of them. A reader downloads what it does not have, and merges it into its copy while it goes on answering.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from slipway.features.errors import FeatureError
from slipway.features.online import segments
from slipway.features.online.port import LostMaterialization, Reader, Rows
from slipway.features.online.replica import Replica, download
from slipway.features.online.state import OnlineState, Segment, Target
from slipway.registry import documents
from slipway.storage.port import NotFound, ObjectStore, OutcomeUnknown, Precondition, StorageError

MAX_SEGMENTS = 16
COMPACT_SHARE = 0.5
"""Of the base's rows: once what came after it has more, all becomes one file."""
LEFTOVER = timedelta(hours=1)
"""Age at which a file that no state names is removed: a reader may still be about to download it."""


class EmbeddedStore:
    """`cache`: the folder of readers' copies. Several processes may share it."""

    def __init__(self, store: ObjectStore, cache: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._cache = cache
        self._clock = clock

    @property
    def shown(self) -> str:
        return self._store.uri

    def state(self, target: Target) -> OnlineState | None:
        return documents.read(self._store, state_key(target), OnlineState)

    def definitions(self, target: Target) -> list[str]:
        prefix = f"features/{target.view.namespace}/{target.view.model}/online/"
        return [name for name in self._store.list_folders(prefix) if self._is_there(f"{prefix}{name}/state.json")]

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
        with tempfile.TemporaryDirectory(prefix="slipway-online-") as folder:
            new = Path(folder) / "new.sqlite"
            count = segments.create(new, rows)
            kept = () if replace or before is None else before.segments
            if count:
                kept = self._with(target, kept, new, count, oldest, Path(folder))
            stored = after.model_copy(update={"segments": kept})
            self._commit(target, before, stored)
        self._sweep(target, stored)
        return stored

    def reader(self, target: Target) -> Reader:
        return Replica(self._store, target, self._cache)

    def _with(
        self, target: Target, kept: tuple[Segment, ...], new: Path, count: int, oldest: datetime | None, folder: Path
    ) -> tuple[Segment, ...]:
        """The segments with one more; or one of them all."""
        later = count + sum(segment.rows for segment in kept[1:])
        if not kept or (len(kept) < MAX_SEGMENTS and later <= kept[0].rows * COMPACT_SHARE):
            return (*kept, self._upload(target, new, count))
        base = folder / "base.sqlite"
        download(self._store, kept[0], base)
        with closing(segments.open_for_merging(base, durable=False)) as file:
            for number, segment in enumerate(kept[1:]):
                part = folder / f"{number}.sqlite"
                download(self._store, segment, part)
                segments.merge(file, part)
                part.unlink()
            segments.merge(file, new)
            if oldest is not None:
                segments.drop_old(file, oldest)
            count = segments.count(file)
            whole = folder / "whole.sqlite"
            file.execute("VACUUM INTO ?", (str(whole),))
        return (self._upload(target, whole, count),)

    def _upload(self, target: Target, path: Path, count: int) -> Segment:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        key = f"{_prefix(target)}rows/{uuid4()}.sqlite"
        self._store.put_file(key, path, content_type="application/vnd.sqlite3")
        return Segment(key=key, digest=f"sha256:{digest}", size=path.stat().st_size, rows=count)

    def _commit(self, target: Target, before: OnlineState | None, after: OnlineState) -> None:
        key, body = state_key(target), after.to_json()
        try:
            if before is None:
                self._store.put_if_absent(key, body)
                return
            try:
                there = self._store.get(key)
            except NotFound:
                raise LostMaterialization(f"{target}: its state went away meanwhile") from None
            if documents.load(OnlineState, there.data, f"{self._store.uri}/{key}") != before:
                raise LostMaterialization(f"{target}: another materialisation was done meanwhile")
            self._store.put_if_match(key, body, there.info.etag)
        except Precondition as error:
            with suppress(NotFound):
                if self._store.get(key).data == body:
                    return
            if isinstance(error, OutcomeUnknown):
                raise
            raise LostMaterialization(f"{target}: another materialisation was done meanwhile") from error

    def _sweep(self, target: Target, state: OnlineState) -> None:
        """Removes files that nothing names any more: of cut-off materialisations, and those that were made one."""
        named = {segment.key for segment in state.segments}
        with suppress(StorageError, FeatureError):  # the next one tries again
            for info in self._store.list(f"{_prefix(target)}rows/"):
                if info.key not in named and info.modified is not None and self._clock() - info.modified > LEFTOVER:
                    self._store.delete(info.key)

    def _is_there(self, key: str) -> bool:
        try:
            self._store.head(key)
        except NotFound:
            return False
        return True


def _prefix(target: Target) -> str:
    return f"features/{target.view.namespace}/{target.view.model}/online/{target.short}/"


def state_key(target: Target) -> str:
    """Where the embedded store's state of `target` is."""
    return f"{_prefix(target)}state.json"
