"""Versions of one model: claimed without gaps, once per build identity.

Two claimers of the same identity must never take two numbers. So each first leaves, or finds, one *intent* object per
identity, which holds a number `base` that was taken when the intent was made. The identity's version, should there be
one, is above `base`, because nobody claims before there is an intent. Every claimer looks at each number above
`base` in turn: it is this identity's (done), another's (go on), or free (claim it). Nobody skips a free number, and
taken numbers stay taken, so a number above another's claim is reached only by having seen that claim. A write that
arrives late, after its writer was given up for dead, finds its number taken and is refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from slipway.registry import documents
from slipway.registry.errors import CorruptRecord, NewerSchema, UnknownVersion
from slipway.registry.names import ModelName, check_digest
from slipway.registry.packs import read_packed
from slipway.registry.records import (
    SCHEMA_VERSION,
    Digest,
    Document,
    VersionDraft,
    VersionRecord,
    digest_of,
    root_digest,
)
from slipway.registry.sequence import Ends, NumberedLog, Position, create, runs
from slipway.storage.port import ObjectStore, StorageError

_BATCH = 16
_FAR = 4
"""Distance between base and claimed number from which the intent is brought up to date."""


class BuildIntent(Document):
    """That somebody is about to register a build. `base` was the highest version then, or any later version below this
    build's own."""

    schema_version: int = SCHEMA_VERSION
    build_id: Digest
    writer: str
    base: int
    draft: Digest
    """Digest of the draft of whoever came first; for people who look for the cause of a difference."""
    at: datetime


class Seen:
    """The version records that were read last, which never change. Thread-safe."""

    def __init__(self, most: int = 128) -> None:
        self._most = most
        self._records: dict[tuple[ModelName, int], VersionRecord] = {}
        self._lock = threading.Lock()

    def get(self, model: ModelName, version: int) -> VersionRecord | None:
        """None when it was not read, or long ago."""
        with self._lock:
            record = self._records.pop((model, version), None)
            if record is not None:
                self._records[model, version] = record  # the end of the line
            return record

    def add(self, model: ModelName, record: VersionRecord) -> None:
        """Remembers a record, and forgets the one not asked for longest when there are many."""
        with self._lock:
            self._records[model, record.version] = record
            while len(self._records) > self._most:
                del self._records[next(iter(self._records))]


@dataclass(frozen=True)
class VersionPage:
    """Versions of a model, newest first. `unreadable`: why others that belong here are not among them (CorruptRecord,
    NewerSchema), by number. `before`: what to ask for the next page with; None at the end."""

    records: tuple[VersionRecord, ...]
    unreadable: dict[int, Exception] = field(default_factory=dict)
    before: int | None = None


class Versions:
    """The versions of `model`. Thread-safe; all calls block."""

    def __init__(
        self,
        store: ObjectStore,
        model: ModelName,
        *,
        pause: Callable[[float], None] = time.sleep,
        ends: Ends | None = None,
        seen: Seen | None = None,
    ) -> None:
        self.model = model
        self._seen = Seen() if seen is None else seen
        self._store = store
        self._pause = pause
        self._ends = ends
        self._prefix = f"models/{model.namespace}/{model.model}/"
        self._log = NumberedLog(
            store, f"{self._prefix}versions/", f"index/last/versions/{model}/last.json", pause=pause, ends=ends
        )

    def latest(self) -> int:
        """The highest version; 0 when there is none."""
        return self._log.position().last

    def key(self, version: int) -> str:
        """The key of a version's record."""
        return self._log.key(version)

    def get(self, version: int) -> VersionRecord:
        """Raises UnknownVersion, CorruptRecord, NewerSchema."""
        known = self._seen.get(self.model, version)
        if known is not None:
            return known
        data = self._log.read(version)
        if data is None:
            raise UnknownVersion(f"{self.model} has no version {version}")
        record = self.parse(version, data)
        self._seen.add(self.model, record)
        return record

    def page(self, before: int | None, limit: int) -> VersionPage:
        """At most `limit` versions below `before`, newest first."""
        last = self._log.position().last
        top = last if before is None else min(last, before - 1)
        end = max(0, top - limit)
        records: list[VersionRecord] = []
        unreadable: dict[int, Exception] = {}
        for number, data in self.raw(range(top, end, -1)).items():
            try:
                records.append(self.parse(number, data))
            except (CorruptRecord, NewerSchema) as error:
                unreadable[number] = error
        return VersionPage(tuple(records), unreadable, end + 1 if end else None)

    def raw(self, numbers: Sequence[int], *, packed: bool = True) -> dict[int, bytes]:
        """Records as they are stored, by number, in the order asked for; those that do not exist are left out. With
        `packed`, packs are used where there are any."""
        found = read_packed(self._store, self.model, numbers) if packed else {}
        alone = [number for number in numbers if number not in found]
        read = zip(alone, self._log.read_many(alone), strict=True)
        found |= {number: data for number, data in read if data is not None}
        return {number: found[number] for number in numbers if number in found}

    def last_from(self, known: int) -> int:
        """The highest version, given that `known` exists (0: nothing is known), in one request as a rule."""
        return self._log.last_after(known) if known else self._log.position().last

    def find_build(self, build_id: str) -> VersionRecord | None:
        """The version of a build identity; None when it was not registered."""
        intent = documents.read(self._store, self._intent_key(build_id), BuildIntent)
        if intent is None:
            return None
        for number, data in self._ahead(intent.base + 1):
            if documents.peek(data, "buildId") == build_id:
                return self.parse(number, data)
        return None

    def register(self, draft: VersionDraft, *, writer: str, now: datetime) -> VersionRecord:
        """Claims the next number for `draft`, or finds the one that its identity has already."""
        position = self._log.position()
        intent = self._leave_intent(draft, position, writer, now)
        record = self._claim(draft, intent, position, writer, now)
        self._log.remember(record.version, position.hint)
        if record.version - intent.base > _FAR:
            # Scans begin just below the version from now on. What it replaces said the same, only less precisely.
            closer = intent.model_copy(update={"base": record.version - 1})
            with suppress(StorageError):
                self._store.put(self._intent_key(draft.build_id), closer.to_json(), content_type="application/json")
        return record

    def _leave_intent(self, draft: VersionDraft, position: Position, writer: str, now: datetime) -> BuildIntent:
        mine = BuildIntent(
            build_id=draft.build_id,
            writer=writer,
            base=position.last,
            draft=digest_of(draft.model_dump(mode="json", by_alias=True, exclude_none=True)),
            at=now,
        )
        key = self._intent_key(draft.build_id)
        stored = create(self._store, key, mine.to_json(), pause=self._pause)
        return documents.load(BuildIntent, stored, f"{self._store.uri}/{key}")

    def _claim(self, draft: VersionDraft, intent: BuildIntent, position: Position, writer: str, now: datetime) -> VersionRecord:
        known = position.last
        number = intent.base + 1
        while True:
            for taken, data in self._between(number, known):
                if data is None:
                    break  # a hole, made by hand: it is free
                if documents.peek(data, "buildId") == draft.build_id:
                    return self.parse(taken, data)
                number = taken + 1
            record = self._record(draft, number, writer, now)
            body = record.to_json()
            stored = self._log.claim(number, body)
            if stored == body:
                return record
            if documents.peek(stored, "buildId") == draft.build_id:
                return self.parse(number, stored)
            known = max(known, self._log.last_after(number))
            number += 1

    def _between(self, first: int, last: int) -> Iterator[tuple[int, bytes | None]]:
        for numbers in runs(range(first, last + 1), _BATCH):
            yield from zip(numbers, self._log.read_many(numbers), strict=True)

    def _ahead(self, first: int) -> Iterator[tuple[int, bytes]]:
        """Versions from `first` on, up to the first number that is free."""
        number, batch = first, 1
        while True:
            for data in self._log.read_many(range(number, number + batch)):
                if data is None:
                    return
                yield number, data
                number += 1
            batch = _BATCH

    def _record(self, draft: VersionDraft, number: int, writer: str, now: datetime) -> VersionRecord:
        fields = {name: getattr(draft, name) for name in VersionDraft.model_fields}
        return VersionRecord(
            **fields,
            version=number,
            digest=root_digest(draft.files),
            created_at=now,
            writer=writer,
        )

    def parse(self, number: int, data: bytes) -> VersionRecord:
        """The record of version `number` in `data`, checked. Raises CorruptRecord, NewerSchema."""
        where = f"{self._store.uri}/{self._log.key(number)}"
        record = documents.load(VersionRecord, data, where)
        if (record.model, record.version) != (str(self.model), number):
            raise CorruptRecord(f"{where} says that it is {record.model}:{record.version}: was it copied there?")
        if record.digest != root_digest(record.files):
            raise CorruptRecord(f"{where}: its digest {record.digest} is not that of its list of files")
        return record

    def _intent_key(self, build_id: str) -> str:
        return f"{self._prefix}builds/{check_digest(build_id).removeprefix('sha256:')}.json"
