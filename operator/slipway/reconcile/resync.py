"""A look at the list of all resources now and then: watches may lose events, and lose them silently."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable

from slipway.kube.port import Kube, KubeError
from slipway.reconcile.contract import Key
from slipway.reconcile.routing import RESOURCES

log = logging.getLogger(__name__)


class Resync:
    """Every `interval` seconds, lists the resources of `namespaces` (none: all) and lets `add_after` have each within
    `spread` seconds, so that not all are looked at at once."""

    def __init__(
        self,
        kube: Kube,
        namespaces: Iterable[str],
        add_after: Callable[[Key, float], None],
        *,
        interval: float,
        spread: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._kube = kube
        self._namespaces: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._add_after = add_after
        self._interval = interval
        self._spread = spread
        self._clock = clock
        self._sleep = sleep
        self._uniform = uniform
        self._succeeded = clock()

    async def run(self) -> None:
        """Lists until cancelled."""
        while True:
            await self._sleep(self._interval * self._uniform(0.9, 1.1))
            await self.once(self._spread)

    async def once(self, spread: float) -> bool:
        """One list; says whether it could be had."""
        try:
            for namespace in self._namespaces:
                for resource in RESOURCES:
                    for obj in await self._kube.list(resource, namespace):
                        metadata = obj["metadata"]
                        key = Key(resource.kind, metadata["namespace"], metadata["name"])
                        self._add_after(key, self._uniform(0.0, spread))
        except KubeError as error:
            log.warning("resync: %s", error)
            return False
        self._succeeded = self._clock()
        return True

    def age(self) -> float:
        """Seconds since the last list that could be had."""
        return self._clock() - self._succeeded
