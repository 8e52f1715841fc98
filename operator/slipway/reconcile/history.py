"""Keeps what statuses record of roll-outs in the registry, where it outlives the cluster. It runs after the status is written, from
what status says, so that it can be done again at any time; a store that does not answer holds up no roll-out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from slipway.kube.port import Object
from slipway.reconcile.contract import Key
from slipway.reconcile.stores import Blocking
from slipway.registry.errors import RegistryError
from slipway.registry.records import RolloutRecord
from slipway.registry.registry import Registry
from slipway.registry.rollouts import rollout_key
from slipway.storage.port import StorageError

log = logging.getLogger(__name__)

PAUSE = timedelta(seconds=30)
"""How long a store that did not answer is left alone."""


@runtime_checkable
class KeepsHistory(Protocol):
    """A controller whose resources have a past that shall outlive them."""

    def records(self, resource: Object) -> tuple[RolloutRecord, ...]:
        """What the status of `resource` says. Raises nothing for a status that cannot be read."""


class Recorder:
    """`fence` raises LeaseLost when this process may no longer write. Remembers which records are there, so that each is written
    once; what it remembers is read from the store, in one request for each thousand."""

    def __init__(self, registry: Registry, blocking: Blocking, fence: Callable[[], None], clock: Callable[[], datetime]) -> None:
        self._registry = registry
        self._blocking = blocking
        self._fence = fence
        self._clock = clock
        self._there: set[str] | None = None
        self._not_before: datetime | None = None

    async def looked(self, controller: object, resource: Object) -> None:
        """Writes what the registry lacks of what status says. Raises LeaseLost alone."""
        if not isinstance(controller, KeepsHistory):
            return
        found = controller.records(resource)
        lacking = [record for record in found if self._there is None or rollout_key(record) not in self._there]
        if not lacking or (self._not_before is not None and self._clock() < self._not_before):
            return
        try:
            await self._write(lacking)
        except (StorageError, RegistryError) as error:
            # The next look at the resource tries again.
            self._not_before = self._clock() + PAUSE
            log.info("history of %s/%s: %s", resource["metadata"]["namespace"], resource["metadata"]["name"], error)

    def gone(self, key: Key) -> None:
        """Nothing: the past of what is gone stays."""

    async def _write(self, records: list[RolloutRecord]) -> None:
        if self._there is None:
            self._there = await self._blocking.run(self._registry.rollout_keys)
        for record in records:
            if rollout_key(record) not in self._there:
                self._fence()
                await self._blocking.run(self._registry.record_rollout, record)
                self._there.add(rollout_key(record))
