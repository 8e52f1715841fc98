"""The derived index that makes search over long histories quick: segments of columns, and a manifest that lists them.

Everything in it can be lost: what the manifest does not cover is read from the version records themselves, and so is a
segment that is missing or broken. Records never change, so what is covered is never stale. Segments are named by their
content; of two that update at once, the manifest of the later one counts, and both are right.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import Field

from slipway.registry import documents
from slipway.registry.columns import LAYOUT, Row, Segment, concatenated, row_of
from slipway.registry.errors import CorruptRecord, NewerSchema, RegistryError
from slipway.registry.names import ModelName
from slipway.registry.packs import PACK, pack_of, write_pack
from slipway.registry.records import Digest, Document
from slipway.registry.versions import Versions
from slipway.storage.parallel import in_parallel
from slipway.storage.port import NotFound, ObjectStore, StorageError

MANIFEST = "index/search/manifest.json"
SEGMENTS = "index/search/segments/"
MAX_ROWS = 32_768
"""Rows of a segment at most."""
SMALL_ROWS = 8_192
MANY_SMALL = 8
"""So many segments of fewer than SMALL_ROWS rows are made into one."""
BATCH = 1024
SWEEP_AFTER = timedelta(hours=6)
"""Age from which a segment that no manifest lists is deleted: a reader may still hold an older manifest."""


class SegmentEntry(Document):
    """A segment as the manifest lists it. `covers`: first and last version by model."""

    key: str
    digest: Digest
    rows: int
    size: int
    covers: dict[str, tuple[int, int]]


class Manifest(Document):
    """What the index holds. `covered`: the last version by model up to which all are in segments, but for `skipped`,
    those whose record could not be read."""

    schema_version: int = LAYOUT
    built_at: datetime
    segments: tuple[SegmentEntry, ...] = ()
    covered: dict[str, int] = Field(default_factory=dict)
    skipped: dict[str, tuple[int, ...]] = Field(default_factory=dict)


@dataclass(frozen=True)
class IndexReport:
    """What an update did. `versions` that are in the index now, and of them `added` by this update; `skipped` records
    could not be read; `packs` were written; `swept` objects of older indexes deleted."""

    models: int
    versions: int
    added: int
    skipped: int
    segments: int
    packs: int
    swept: int


class Index:
    """The index of a registry. Thread-safe; all calls block. Keeps the segments it has unpacked last."""

    def __init__(self, store: ObjectStore, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._kept: dict[str, Segment] = {}
        self._lock = threading.Lock()

    def manifest(self) -> Manifest | None:
        """None when there is no index, or none that this Slipway can read."""
        try:
            return documents.read(self._store, MANIFEST, Manifest)
        except (CorruptRecord, NewerSchema):
            return None

    def segments(self, entries: Iterable[SegmentEntry]) -> list[Segment | None]:
        """The segments of `entries`; None for each that is missing or broken."""
        wanted = list(entries)
        found = in_parallel(self._segment, wanted, 8)
        with self._lock:
            self._kept = {e.key: s for e, s in zip(wanted, found, strict=True) if s is not None}
        return found

    def update(
        self, models: Iterable[ModelName], *, afresh: bool = False, progress: Callable[[int], None] | None = None
    ) -> IndexReport:
        """Takes in what is new of `models`, all that the registry has; with `afresh`, everything anew. `progress` is told
        of versions as they are read."""
        build = _Build(self._store, None if afresh else self.manifest(), progress, repack=afresh)
        entries = build.kept_entries(self)
        names = list(models)
        entries += [_store_segment(self._store, rows) for rows in build.new_rows(names)]
        entries = self._compacted(entries)
        known = {str(name) for name in names}
        manifest = Manifest(
            built_at=self._clock(),
            segments=tuple(entries),
            covered={model: last for model, last in build.covered.items() if model in known},
            skipped={model: tuple(sorted(numbers)) for model, numbers in build.skipped.items() if numbers},
        )
        self._store.put(MANIFEST, manifest.to_json(), content_type="application/json")
        return IndexReport(
            models=len(names),
            versions=sum(entry.rows for entry in entries),
            added=build.added,
            skipped=sum(map(len, build.skipped.values())),
            segments=len(entries),
            packs=build.packs,
            swept=self._sweep({entry.key for entry in entries}),
        )

    def _segment(self, entry: SegmentEntry) -> Segment | None:
        with self._lock:
            if entry.key in self._kept:
                return self._kept[entry.key]
        try:
            data = self._store.get(entry.key).data
            if "sha256:" + hashlib.sha256(data).hexdigest() != entry.digest:
                return None
            segment = Segment.decode(data, f"{self._store.uri}/{entry.key}")
        except (NotFound, CorruptRecord):
            return None
        return segment if segment.rows == entry.rows else None

    def _compacted(self, entries: list[SegmentEntry]) -> list[SegmentEntry]:
        small = [entry for entry in entries if entry.rows < SMALL_ROWS]
        if len(small) < MANY_SMALL:
            return entries
        pairs = [(e, s) for e, s in zip(small, self.segments(small), strict=True) if s is not None]
        merged: list[SegmentEntry] = []
        group: list[tuple[SegmentEntry, Segment]] = []
        for pair in [*pairs, None]:
            if pair is None or sum(entry.rows for entry, _ in group) + pair[0].rows > MAX_ROWS:
                merged += [_merge(self._store, group)] if group else []
                group = []
            if pair is not None:
                group.append(pair)
        gone = {entry.key for entry, _ in pairs}
        return [entry for entry in entries if entry.key not in gone] + merged

    def _sweep(self, keep: set[str]) -> int:
        swept = 0
        try:
            for info in list(self._store.list(SEGMENTS)):
                old = info.modified is not None and self._clock() - info.modified > SWEEP_AFTER
                if info.key not in keep and old:
                    self._store.delete(info.key)
                    swept += 1
        except StorageError:
            pass  # without the right to list or to delete they stay: they harm nobody
        return swept


class _Build:
    """One update under way."""

    def __init__(
        self, store: ObjectStore, before: Manifest | None, progress: Callable[[int], None] | None, *, repack: bool
    ) -> None:
        self._store = store
        self._before = before
        self._progress = progress
        self._repack = repack
        self.covered: dict[str, int] = dict(before.covered) if before else {}
        self.skipped: dict[str, set[int]] = {m: set(n) for m, n in before.skipped.items()} if before else {}
        self.added = 0
        self.packs = 0

    def kept_entries(self, index: Index) -> list[SegmentEntry]:
        """The segments of before that are whole. The models of one that is not are read anew from where it began."""
        entries = list(self._before.segments) if self._before else []
        whole = [segment is not None for segment in index.segments(entries)]
        lost = [entry for entry, good in zip(entries, whole, strict=True) if not good]
        if not lost:
            return entries
        # Cutting single ranges out of other segments is not worth its code: such a loss is rare, and a fresh start is right.
        self.covered, self.skipped = {}, {}
        return []

    def new_rows(self, models: Iterable[ModelName]) -> Iterator[list[Row]]:
        """Rows of all versions that are not covered, in lists of at most MAX_ROWS."""
        rows: list[Row] = []
        for model, versions in self._heads(models):
            first, last = self.covered.get(str(model), 0) + 1, versions
            for start in range(first, last + 1, BATCH):
                end = min(last, start + BATCH - 1)
                rows += self._rows(model, start, end)
                self.covered[str(model)] = end
                if len(rows) >= MAX_ROWS:
                    yield rows[:MAX_ROWS]
                    rows = rows[MAX_ROWS:]
        if rows:
            yield rows

    def _heads(self, models: Iterable[ModelName]) -> list[tuple[ModelName, int]]:
        names = list(models)

        def head(name: ModelName) -> int:
            return Versions(self._store, name).last_from(self.covered.get(str(name), 0))

        return list(zip(names, in_parallel(head, names, 16), strict=True))

    def _rows(self, model: ModelName, first: int, last: int) -> list[Row]:
        versions = Versions(self._store, model)
        raw = versions.raw(range(first, last + 1), packed=not self._repack)
        rows = []
        for number, data in raw.items():
            try:
                rows.append(row_of(versions.parse(number, data)))
                self.added += 1
            except RegistryError:
                self.skipped.setdefault(str(model), set()).add(number)
        self._pack(versions, model, first, last, raw)
        if self._progress is not None:
            self._progress(len(raw))
        return rows

    def _pack(self, versions: Versions, model: ModelName, first: int, last: int, raw: dict[int, bytes]) -> None:
        """Writes the packs that end in the range."""
        for number in range(pack_of(first), pack_of(last) + 1):
            members = range(number * PACK + 1, (number + 1) * PACK + 1)
            if members[-1] > last:
                return
            before = versions.raw(range(members[0], first)) if members[0] < first else {}
            records = [data for version in members if (data := raw.get(version) or before.get(version)) is not None]
            if len(records) == PACK and not any(b"\n" in data for data in records):
                write_pack(self._store, model, number, records)
                self.packs += 1


def _store_segment(store: ObjectStore, rows: list[Row]) -> SegmentEntry:
    covers: dict[str, tuple[int, int]] = {}
    for row in rows:
        first, _ = covers.get(row["model"], (row["version"], 0))
        covers[row["model"]] = (first, row["version"])
    return _put(store, Segment.of(rows), covers)


def _merge(store: ObjectStore, group: list[tuple[SegmentEntry, Segment]]) -> SegmentEntry:
    if len(group) == 1:
        return group[0][0]
    covers: dict[str, tuple[int, int]] = {}
    for entry, _ in group:
        for model, (first, last) in entry.covers.items():
            low, high = covers.get(model, (first, last))
            covers[model] = (min(low, first), max(high, last))
    return _put(store, concatenated(segment for _, segment in group), covers)


def _put(store: ObjectStore, segment: Segment, covers: dict[str, tuple[int, int]]) -> SegmentEntry:
    data = segment.encode()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    key = f"{SEGMENTS}{digest.removeprefix('sha256:')}.columns"
    store.put(key, data)
    return SegmentEntry(key=key, digest=digest, rows=segment.rows, size=len(data), covers=covers)
