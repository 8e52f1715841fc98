"""What the registry refers to: every digest in a kept version, a pin, or an attempt that is young or led to a kept version. A
version that served within retention is kept as one with a pin is.

Documents are searched for digests as text, so that a field that this Slipway does not know keeps its blob all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from slipway.registry import documents
from slipway.registry.aliases import Aliases
from slipway.registry.errors import CorruptRecord
from slipway.registry.garbage.state import retired_prefix
from slipway.registry.names import ModelName
from slipway.registry.records import Pin, RolloutRecord
from slipway.registry.rollouts import PREFIX, lives
from slipway.registry.versions import Versions
from slipway.storage.parallel import in_parallel
from slipway.storage.port import NotFound, ObjectInfo, ObjectStore

_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
_BATCH = 1024


@dataclass(frozen=True)
class Policy:
    """What is kept. `grace`: least age of a blob that may be condemned, and least time from there to its end. `attempts`:
    how long the documents of attempts without a version stay. `history`: how long a version stays that an alias, or a
    ModelDeployment, has left.
    `retention`: how many of the newest versions are kept, by ``namespace/model``; models without an entry keep all."""

    grace: timedelta = timedelta(hours=24)
    attempts: timedelta = timedelta(days=35)
    history: timedelta = timedelta(days=30)
    retention: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Marks:
    """`digests` that are referred to, with the first thing found that does. `retire` and `restore`: versions whose marker is
    to be set or taken away. `old_attempts`, `old_rollouts`: keys of documents that may go."""

    digests: dict[str, str] = field(default_factory=dict)
    retire: list[tuple[ModelName, int]] = field(default_factory=list)
    restore: list[tuple[ModelName, int]] = field(default_factory=list)
    retired: list[tuple[ModelName, int]] = field(default_factory=list)
    old_attempts: list[str] = field(default_factory=list)
    old_rollouts: list[str] = field(default_factory=list)

    def add(self, data: bytes, why: str) -> None:
        """Marks every digest in `data`."""
        for digest in _DIGEST.findall(data):
            self.digests.setdefault(digest.decode(), why)


def mark(
    store: ObjectStore, models: list[ModelName], policy: Policy, now: datetime, beat: Callable[[], None] = lambda: None
) -> Marks:
    """Reads all that is kept, and calls `beat` between requests. Raises the store's errors, and CorruptRecord for a pin that
    cannot be read: then nothing may be deleted."""
    marks = Marks()
    retired = {}
    for name in models:  # before aliases and pins: these may save a version
        beat()
        retired[name] = _retired(store, name)
    pinned: set[str] = set()
    for info in list(store.list("pins/")):
        beat()
        try:
            data = store.get(info.key).data
        except NotFound:
            continue
        marks.add(data, info.key)
        pinned |= set(documents.load(Pin, data, f"{store.uri}/{info.key}").versions)
    pinned |= _served(store, now - policy.history, marks)
    for name in models:
        _mark_model(store, name, policy, now, retired[name], pinned, marks, beat)
    _mark_attempts(store, policy, now, marks, beat)
    return marks


def _retired(store: ObjectStore, name: ModelName) -> set[int]:
    prefix = retired_prefix(name)
    return {int(info.key.removeprefix(prefix).removesuffix(".json")) for info in store.list(prefix)}


def _mark_model(
    store: ObjectStore,
    name: ModelName,
    policy: Policy,
    now: datetime,
    retired: set[int],
    pinned: set[str],
    marks: Marks,
    beat: Callable[[], None],
) -> None:
    beat()
    # Aliases first: a version that is registered and promoted while we look is then above `last`, and a later run's matter.
    pointed = _pointed(store, name, now - policy.history, beat)
    versions = Versions(store, name)
    last = versions.latest()
    keep = policy.retention.get(str(name))
    floor = max(0, last - keep) if keep is not None else 0
    for first in range(1, last + 1, _BATCH):
        beat()
        numbers = range(first, min(last, first + _BATCH - 1) + 1)
        for number, data in versions.raw(numbers).items():
            used = number in pointed or f"{name}:{number}" in pinned
            if number in retired and used:
                marks.restore.append((name, number))
            elif number in retired:
                marks.retired.append((name, number))
                continue
            elif number <= floor and not used:
                marks.retire.append((name, number))
                continue
            marks.add(data, f"{name}:{number}")


def _served(store: ObjectStore, since: datetime, marks: Marks) -> set[str]:
    """Versions that a ModelDeployment served, or gave up, since then. Raises CorruptRecord for a record that cannot be read."""
    alive: list[str] = []
    for life in lives(info.key for info in store.list(PREFIX)):
        if life.ended >= since:
            alive.append(life.key)
        elif not life.newest:
            marks.old_rollouts.append(life.key)
    read = in_parallel(lambda key: documents.read(store, key, RolloutRecord), alive, 16)
    return {f"{record.model}:{record.version}" for record in read if record is not None}


def _pointed(store: ObjectStore, name: ModelName, since: datetime, beat: Callable[[], None]) -> set[int]:
    """Versions that an alias points at, or pointed at since then."""
    aliases = Aliases(store, name)
    found: set[int] = set()
    for alias in aliases.names():
        for move in aliases.newest_first(alias):
            beat()
            if move.version is not None:
                found.add(move.version)
            if move.at < since:
                break
    return found


def _mark_attempts(store: ObjectStore, policy: Policy, now: datetime, marks: Marks, beat: Callable[[], None]) -> None:
    """An attempt's documents live while any of them is young, or while a version of its build is kept."""
    builds: dict[str, list[ObjectInfo]] = {}
    for info in store.list("attempts/"):
        beat()
        builds.setdefault(info.key.split("/")[1], []).append(info)
    alive: list[str] = []
    for build, infos in builds.items():
        young = any(info.modified is None or now - info.modified < policy.attempts for info in infos)
        keys = [info.key for info in infos]
        if young or f"sha256:{build}" in marks.digests:
            alive += keys
        else:
            marks.old_attempts += keys

    def read(key: str) -> bytes | None:
        try:
            return store.get(key).data
        except NotFound:
            return None

    for start in range(0, len(alive), _BATCH):
        beat()
        keys = alive[start : start + _BATCH]
        for key, data in zip(keys, in_parallel(read, keys, 16), strict=True):
            if data is not None:
                marks.add(data, key)


def check_whole(marks: Marks, blobs: int) -> None:
    """A last doubt: a store that shows blobs and not one thing that refers to any has more likely lost its records, or is
    looked at with the wrong prefix, than become all garbage. Raises CorruptRecord."""
    if blobs and not marks.digests and not marks.retired and not marks.old_attempts:
        raise CorruptRecord(f"there are {blobs} blobs, and no version, pin or attempt: nothing is deleted; is this a registry?")
