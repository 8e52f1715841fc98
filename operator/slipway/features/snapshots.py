"""Frozen training sets: numbered, immutable, their bytes among the registry's blobs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from slipway.features.errors import UnknownSnapshot
from slipway.features.records import Snapshot, SnapshotDraft
from slipway.registry import documents
from slipway.registry.errors import LostRace
from slipway.registry.names import ModelName
from slipway.registry.sequence import NumberedLog, runs
from slipway.storage.port import ObjectStore

_TRIES = 16


class Snapshots:
    """The snapshots of one name. Thread-safe; all calls block."""

    def __init__(self, store: ObjectStore, name: ModelName) -> None:
        self._store = store
        self._name = name
        self._log = NumberedLog(store, f"features/{name.namespace}/{name.model}/snapshots/", f"index/last/snapshots/{name}.json")

    def latest(self) -> int:
        """The highest number; 0 when there is none."""
        return self._log.position().last

    def get(self, number: int | None = None) -> Snapshot:
        """A snapshot; None: the newest. Raises UnknownSnapshot, CorruptRecord, NewerSchema."""
        wanted = number if number is not None else self.latest()
        data = self._log.read(wanted) if wanted else None
        if data is None:
            last = self.latest()
            there = f"it has 1 to {last}" if last else "it has none"
            raise UnknownSnapshot(
                f"{self._name} has no snapshot {number if number is not None else ''}: {there}.".replace("  ", " ")
            )
        return documents.load(Snapshot, data, f"{self._store.uri}/{self._log.key(wanted)}")

    def page(self, before: int | None = None, limit: int = 100) -> list[Snapshot]:
        """Snapshots, newest first; the next page by `before` the last number seen."""
        last = (before - 1) if before is not None else self.latest()
        numbers = list(range(last, max(0, last - limit), -1))
        found = [data for run in runs(numbers, 16) for data in self._log.read_many(run)]
        return [documents.load(Snapshot, data, f"{self._store.uri}") for data in found if data is not None]

    def freeze(self, draft: SnapshotDraft, *, by: str, writer: str, now: Callable[[], datetime]) -> Snapshot:
        """Gives `draft` the next number; a newest one with the same content is found instead. Raises LostRace."""
        for _ in range(_TRIES):
            position = self._log.position()
            if position.last:
                newest = self.get(position.last)
                if newest.digest == draft.identity:
                    return newest.model_copy(update={"changed": False})
            snapshot = Snapshot(
                **draft.model_dump(),
                number=position.last + 1,
                digest=draft.identity,
                by=by,
                created_at=now(),
                writer=writer,
            )
            body = snapshot.to_json()
            if self._log.claim(snapshot.number, body) == body:
                self._log.remember(snapshot.number, position.hint)
                return snapshot
        raise LostRace(f"{self._name}: others freeze snapshots all the time; try again")
