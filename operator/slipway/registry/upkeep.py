"""Keeping a registry clean: garbage collection and retired versions. A part of `slipway.registry.registry.Registry`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from slipway.registry import documents
from slipway.registry.blobs import Blobs
from slipway.registry.errors import MissingBlob
from slipway.registry.garbage.collector import Collection, Collector
from slipway.registry.garbage.marks import Policy
from slipway.registry.garbage.state import Retired, retired_key
from slipway.registry.metadata import Model, model_name
from slipway.registry.names import ModelName, check_version
from slipway.registry.records import VersionRecord
from slipway.storage.port import ObjectStore


class Keeping(Protocol):
    """What upkeep asks of a registry."""

    store: ObjectStore
    blobs: Blobs
    _clock: Callable[[], datetime]
    _uuid: Callable[[], str]
    _pause: Callable[[float], None]
    _monotonic: Callable[[], float]

    def folders(self, namespace: str | None) -> list[ModelName]:
        """As `Registry.folders`."""

    def get(self, model: Model, version: int) -> VersionRecord:
        """As `Registry.get`."""

    def retired(self, model: Model, version: int) -> Retired | None:
        """As `Registry.retired`."""


class Upkeep:
    """Thread-safe; all calls block."""

    def collect(
        self: Keeping, policy: Policy | None = None, *, dry_run: bool = False, fence: Callable[[], None] = lambda: None
    ) -> Collection:
        """One run of the garbage collector: deletes what a run a grace period ago has condemned and nothing refers to,
        condemns what nothing refers to now, and retires versions beyond `policy.retention`. With `dry_run` nothing is
        written. `fence` runs before each write and may raise. Raises LostRace while another run is under way."""
        collector = Collector(
            self.store,
            lambda: self.folders(None),
            policy or Policy(),
            run_id=self._uuid(),
            clock=self._clock,
            pause=self._pause,
            monotonic=self._monotonic,
            fence=fence,
        )
        return collector.run(dry_run=dry_run)

    def retired(self: Keeping, model: Model, version: int) -> Retired | None:
        """That retention has given a version up, when and why; None when it has not."""
        return documents.read(self.store, retired_key(model_name(model), check_version(version)), Retired)

    def restore(self: Keeping, model: Model, version: int) -> VersionRecord:
        """Brings a retired version back, while its files are there; it counts as used from now on only when an alias or a pin
        names it. Raises MissingBlob when some are deleted already, UnknownVersion."""
        record = self.get(model, version)
        if self.retired(model, version) is None:
            return record
        files = record.every_file()
        gone = {entry.digest for entry in files if not self.blobs.secure(entry.digest)}
        missing = sorted(gone | set(self.blobs.missing(files)))
        if missing:
            raise MissingBlob(
                f"{record.model}:{version} was retired, and {len(missing)} of its files are deleted by now", missing
            )
        self.store.delete(retired_key(model_name(model), version))
        return record
