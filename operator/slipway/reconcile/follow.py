"""Follows the aliases that ModelDeployments serve: one small list of the registry's news every few seconds, however many there are.

What is missed here (news that were never written, a store that did not answer for long) is found by the resync, which looks at each
resource anyway: nothing depends on an event."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

from slipway.api.common import InvalidResource
from slipway.api.model_deployment import ModelDeployment
from slipway.kube.port import Kube, KubeError
from slipway.kube.resources import MODEL_DEPLOYMENT
from slipway.reconcile.contract import Key
from slipway.reconcile.stores import Blocking
from slipway.registry import moved
from slipway.storage.port import ObjectStore, StorageError

log = logging.getLogger(__name__)

OVERLAP = timedelta(minutes=5)
"""How far back each list reaches: clocks of those who move aliases may differ by so much from ours."""
KEPT = timedelta(days=1)
FORGET_EVERY = 1000
"""Lists between two removals of old news."""


class Follower:
    """`add` gets the ModelDeployments that follow an alias that moved. `namespaces` as the operator watches them (none: all)."""

    def __init__(
        self,
        kube: Kube,
        store: ObjectStore,
        blocking: Blocking,
        namespaces: Iterable[str],
        add: Callable[[Key], None],
        *,
        interval: float,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._kube = kube
        self._store = store
        self._blocking = blocking
        self._namespaces: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._add = add
        self._interval = interval
        self._clock = clock
        self._sleep = sleep
        self._seen: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Looks until cancelled."""
        rounds = 0
        while True:
            await self._sleep(self._interval)
            try:
                await self.once()
                rounds += 1
                if rounds % FORGET_EVERY == 0:
                    await self._blocking.run(moved.forget, self._store, self._clock() - KEPT)
            except (StorageError, KubeError) as error:
                log.debug("aliases: %s", error)

    async def once(self) -> None:
        """One list; and, when there is news, one of the ModelDeployments. Raises the errors of both ports."""
        found = await self._blocking.run(self._list)
        fresh = [entry for entry in found if entry.key not in self._seen]
        if fresh:
            await self._tell({(entry.namespace, entry.model, entry.alias) for entry in fresh})
        self._seen = frozenset(entry.key for entry in found)

    def _list(self) -> list[moved.News]:
        return list(moved.news(self._store, self._clock() - OVERLAP))

    async def _tell(self, aliases: set[tuple[str, str, str]]) -> None:
        for namespace in self._namespaces:
            for obj in await self._kube.list(MODEL_DEPLOYMENT, namespace):
                try:
                    deployment = ModelDeployment.parse(obj)
                except InvalidResource:
                    continue
                if (*deployment.model_name(), deployment.spec.model.alias) in aliases:
                    meta = deployment.metadata
                    self._add(Key(MODEL_DEPLOYMENT.kind, meta.namespace, meta.name))
