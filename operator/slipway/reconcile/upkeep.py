"""What the registry needs now and then, done by the leader: its search index brought up to date, its garbage collected."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from slipway.api.common import InvalidResource
from slipway.api.model_build import ModelBuild
from slipway.kube.port import Kube, KubeError, Object
from slipway.kube.resources import MODEL_BUILD
from slipway.registry.errors import LostRace, RegistryError
from slipway.registry.garbage.marks import Policy
from slipway.registry.registry import Registry
from slipway.settings import Settings
from slipway.storage.port import StorageError

log = logging.getLogger(__name__)

SOON = 0.1
"""The first run comes after this part of its interval, so that a restart does not put it off for long."""


def retention(builds: Iterable[Object]) -> Mapping[str, int]:
    """How many versions each model keeps, by ``namespace/model``. A model keeps the most that one of its builds asks for, and
    all when one asks for none or cannot be read. Pure."""
    wanted: dict[str, list[int | None]] = {}
    for resource in builds:
        try:
            build = ModelBuild.parse(resource)
        except InvalidResource:
            meta, spec = resource["metadata"], resource.get("spec") or {}
            wanted.setdefault(f"{meta['namespace']}/{spec.get('model') or meta['name']}", []).append(None)
            continue
        wanted.setdefault(build.model, []).append(build.spec.retention.versions if build.spec.retention else None)
    return {model: max(n for n in numbers if n is not None) for model, numbers in wanted.items() if None not in numbers}


class RegistryUpkeep:
    """Works in a thread of its own: a run may take minutes, and nobody waits for it. `fence` forbids writes once this process
    is not the leader any more. What goes wrong is logged, and tried again at the next turn."""

    def __init__(
        self,
        kube: Kube,
        registry: Registry,
        settings: Settings,
        fence: Callable[[], None],
        *,
        ready: Callable[[], str | None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._kube = kube
        self._registry = registry
        self._settings = settings
        self._fence = fence
        self._ready = ready
        self._sleep = sleep
        self._uniform = uniform

    async def run(self) -> None:
        """Runs until cancelled."""
        with ThreadPoolExecutor(2, thread_name_prefix="upkeep") as pool:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._every(self._settings.index_seconds, lambda: self.index(pool)))
                    gc_seconds = self._settings.gc_seconds if self._settings.gc_enabled else 0
                    group.create_task(self._every(gc_seconds, lambda: self.collect(pool)))
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    async def index(self, pool: ThreadPoolExecutor | None = None) -> None:
        """Brings the search index up to date."""
        report = await self._call(pool, self._registry.update_index)
        if report.added or report.skipped:
            log.info(
                "search index updated", extra={"added": report.added, "versions": report.versions, "skipped": report.skipped}
            )

    async def collect(self, pool: ThreadPoolExecutor | None = None) -> None:
        """One run of the garbage collector, with what the ModelBuilds say of retention."""
        builds: list[Object] = []
        for namespace in self._settings.watch_namespaces or (None,):
            builds += await self._kube.list(MODEL_BUILD, namespace)
        policy = Policy(grace=timedelta(hours=self._settings.gc_grace_hours), retention=retention(builds))
        done = await self._call(pool, lambda: self._registry.collect(policy, fence=self._fence))
        for item in done.items:
            log.info("garbage: %s %s %s: %s", item.action, item.kind, item.name, item.why)
        facts = {"kept": done.kept, "young": done.young, "waiting": done.waiting, "freed": done.freed}
        log.info("garbage collection ended", extra=facts)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        wait = seconds * SOON
        if not seconds:
            await asyncio.Event().wait()  # switched off: for ever, because a task that ends would end the operator
        while True:
            await self._sleep(wait * self._uniform(0.9, 1.1))
            wait = seconds
            if self._ready() is not None:
                continue
            try:
                await work()
            except LostRace as error:
                log.info("registry upkeep: %s", error)
            except (StorageError, RegistryError, KubeError) as error:
                log.warning("registry upkeep: %s", error)

    @staticmethod
    async def _call(pool: ThreadPoolExecutor | None, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(pool, work)
