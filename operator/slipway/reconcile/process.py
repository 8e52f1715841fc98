"""The operator process: makes all parts, starts them in order, and ends them in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from slipway.kube import config as kube_config
from slipway.kube.client import KubeClient
from slipway.provenance.attest import Attester
from slipway.reconcile import kopf_glue
from slipway.reconcile.apply import Applier
from slipway.reconcile.deps import ControllerFactory, Deps
from slipway.reconcile.driver import Driver
from slipway.reconcile.errors import LeaseLost
from slipway.reconcile.events import EventSender
from slipway.reconcile.follow import Follower
from slipway.reconcile.health import Health, Heartbeat
from slipway.reconcile.history import Recorder
from slipway.reconcile.lease import Lease
from slipway.reconcile.moves import RegistryMoves
from slipway.reconcile.openlineage import RunEventSender
from slipway.reconcile.queue import WorkQueue
from slipway.reconcile.resync import Resync
from slipway.reconcile.routing import RESOURCES
from slipway.reconcile.startup import Kinds, StoreGate
from slipway.reconcile.status_writer import StatusWriter
from slipway.reconcile.stores import Threads
from slipway.reconcile.upkeep import RegistryUpkeep
from slipway.reconcile.webhook import Webhook
from slipway.registry.registry import Registry
from slipway.settings import Settings
from slipway.storage import open_stores
from slipway.storage.probe import probe
from slipway.telemetry.metrics import OperatorMetrics
from slipway.telemetry.scrape import HttpScraper

log = logging.getLogger(__name__)

LEASE_NAME = "slipway-operator"
LEASE_TIMEOUT = 5.0
DRAIN = 20.0
"""Seconds that reconciles under way get to end. Less than a pod's grace period of 30."""
FLUSH = 3.0
"""Seconds that events get to reach the webhook at the end; what is left is told by the next operator."""
FIRST_PROBE = 10.0
"""Seconds to wait for the store's first answer before resources are told that it is not there."""
LIST_EVERY = 10
"""Resyncs between two lists of everything."""
MAX_WAIT = 300.0
MAX_RUN = 600.0
MAX_LIST_AGE = 900.0
"""Seconds: an oldest key in line, a reconcile, and a last list beyond these mean that a restart is worth trying."""


class Process:
    """All parts of one operator. `hard_exit` ends the process at once, threads included, as only the loss of the lease
    demands: another instance may write by then."""

    def __init__(
        self,
        settings: Settings,
        factories: Mapping[str, ControllerFactory],
        *,
        hard_exit: Callable[[int], NoReturn] = os._exit,
    ) -> None:
        self.settings = settings
        self.metrics = OperatorMetrics()
        self.health = Health(self.metrics)
        self.stop = asyncio.Event()
        self._hard_exit = hard_exit
        self._config = kube_config.load()
        self._kube = KubeClient.of(self._config, on_request=self.metrics.requested)
        self._lease_kube = KubeClient.of(self._config, timeout=LEASE_TIMEOUT, on_request=self.metrics.requested)
        self._threads = Threads(settings.store_threads)
        self._scraper = HttpScraper(settings.prometheus_url)
        self._identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
        self._lease = Lease(self._lease_kube, settings.namespace, LEASE_NAME, self._identity)
        self._heartbeat = Heartbeat(self.metrics)
        self._runs = RunEventSender(
            settings.openlineage_url, api_key=settings.openlineage_api_key, prefix=settings.openlineage_namespace
        )
        self._webhook = _webhook(settings, self.metrics)
        registry = Registry.open(settings.registry)
        deps = Deps(
            kube=self._kube,
            registry=registry,
            blobs=registry.blobs,
            stores=open_stores(),
            settings=settings,
            executor=self._threads,
            scraper=self._scraper,
        )
        self._gate = StoreGate(lambda: self._threads.run(probe, registry.store), on_pass=self._look_at_all)
        namespace = settings.watch_namespaces[0] if settings.watch_namespaces else settings.namespace
        self._kinds = Kinds(self._kube, RESOURCES, namespace)
        self._driver = self._make_driver(deps, factories)
        self._queue = WorkQueue(self._driver.reconcile, self.metrics, workers=settings.workers, resync=settings.resync_seconds)
        self._resync = Resync(
            self._kube,
            settings.watch_namespaces,
            self._queue.add_after,
            interval=settings.resync_seconds * LIST_EVERY,
            spread=settings.resync_seconds,
        )
        fence = self._lease.fence if settings.leader_elect else _no_fence
        self._upkeep = RegistryUpkeep(self._kube, registry, settings, fence, ready=self._gate.problem)
        self._follower = Follower(
            self._kube,
            registry.store,
            self._threads,
            settings.watch_namespaces,
            self._queue.add,
            interval=settings.alias_poll_seconds,
            clock=lambda: datetime.now(UTC),
        )
        self._working = False
        self._look_soon: set[asyncio.Task[bool]] = set()

    def _make_driver(self, deps: Deps, factories: Mapping[str, ControllerFactory]) -> Driver:
        fence = self._lease.fence if self.settings.leader_elect else _no_fence

        def now() -> datetime:
            return datetime.now(UTC)

        attester = Attester(Path(self.settings.signing_key) if self.settings.signing_key else None)
        moves = RegistryMoves(deps.kube, deps.registry, deps.blobs, deps.executor, fence, attester)
        return Driver(
            deps.kube,
            {kind: factory(deps) for kind, factory in factories.items()},
            Applier(deps.kube, moves, fence, self._scraper),
            moves,
            StatusWriter(deps.kube, EventSender(deps.kube, self._identity, now), fence, self._runs.send),
            clock=now,
            gate=self._gate.check,
            listeners=(self._webhook, Recorder(deps.registry, deps.executor, fence, now)),
        )

    async def run(self) -> int:
        """Runs until a signal, and gives the process's exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        async with AsyncExitStack() as stack:
            stack.callback(self._threads.close)
            stack.callback(self._runs.close)
            stack.push_async_callback(self._scraper.close)
            stack.push_async_callback(self._kube.close)
            stack.push_async_callback(self._lease_kube.close)
            await self.health.start(self.settings.bind_address, self.settings.health_port)
            stack.push_async_callback(self.health.stop)
            self._add_checks()
            background = [
                asyncio.create_task(self._heartbeat.run(), name="heartbeat"),
                asyncio.create_task(self._gate.run(), name="store probe"),
            ]
            stack.push_async_callback(_cancel, background)
            if not await self._unless_stopped(self._prepare()):
                return 0
            return await self._work()

    async def _prepare(self) -> None:
        await self._kinds.wait()
        if self.settings.leader_elect:
            await self._lease.acquire()
        self.metrics.leader.labels(LEASE_NAME).set(1)
        try:
            async with asyncio.timeout(FIRST_PROBE):
                await self._gate.asked.wait()
        except TimeoutError:
            log.warning("the store has not answered within %g s; resources are told so", FIRST_PROBE)

    async def _work(self) -> int:
        # All of these are made before kopf starts: at its end it cancels what began after it.
        queue = asyncio.create_task(self._queue.run(), name="queue")
        others = [
            asyncio.create_task(self._resync.run(), name="resync"),
            asyncio.create_task(self._follower.run(), name="aliases"),
            asyncio.create_task(self._upkeep.run(), name="registry upkeep"),
            asyncio.create_task(self._webhook.run(), name="webhook"),
        ]
        if self.settings.leader_elect:
            others.append(asyncio.create_task(self._lease.hold(), name="lease"))
        kopf = asyncio.create_task(
            kopf_glue.watch(self._queue.add, lambda: kube_config.connection(self._config), self.settings.watch_namespaces),
            name="kopf",
        )
        self._working = True
        log.info("operator started", extra={"identity": self._identity})
        done, _ = await asyncio.wait({queue, kopf, *others}, return_when=asyncio.FIRST_COMPLETED)
        code = 0
        for task in done:
            code = max(code, self._verdict(task, kopf))
        self.stop.set()
        await self._end(queue, kopf, others)
        log.info("operator stopped", extra={"code": code})
        return code

    def _verdict(self, task: asyncio.Task[None], kopf: asyncio.Task[None]) -> int:
        error = None if task.cancelled() else task.exception()
        lost = _find(error, LeaseLost)
        if lost is not None:
            log.critical("%s; leaving at once", lost)
            self._hard_exit(1)
        if error is None and task is kopf:
            return 0
        log.critical("%s ended", task.get_name(), exc_info=error)
        return 1

    async def _end(self, queue: asyncio.Task[None], kopf: asyncio.Task[None], others: list[asyncio.Task[None]]) -> None:
        """Stops the watches, lets reconciles end, then gives the lease back."""
        kopf.cancel()
        self._queue.drain()
        await asyncio.wait({queue, kopf}, timeout=DRAIN)
        await self._webhook.flush(FLUSH)
        await _cancel([queue, kopf, *others])
        if self.settings.leader_elect:
            await self._lease.release()

    def _add_checks(self) -> None:
        self.health.live["event loop"] = self._heartbeat.check
        self.health.live["queue"] = self._queue_problem
        self.health.ready["kinds"] = self._kinds.problem
        self.health.ready["store"] = self._gate.problem

    def _queue_problem(self) -> str | None:
        if not self._lease.held and self.settings.leader_elect:
            return None
        if (waited := self._queue.oldest_wait()) > MAX_WAIT:
            return f"the oldest key has waited for {waited:.0f} s"
        if (took := self._queue.longest_run()) > MAX_RUN:
            return f"a reconcile has taken {took:.0f} s"
        limit = MAX_LIST_AGE + 2 * self.settings.resync_seconds * LIST_EVERY
        if (age := self._resync.age()) > limit:
            return f"no list of the resources for {age:.0f} s"
        return None

    def _look_at_all(self) -> None:
        """The store has just passed: what waited for it need not wait any longer."""
        if not self._working:
            return
        task = asyncio.get_running_loop().create_task(self._resync.once(1.0))
        self._look_soon.add(task)
        task.add_done_callback(self._look_soon.discard)

    async def _unless_stopped(self, work: Awaitable[None]) -> bool:
        """Awaits `work`; says False when a signal came first."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.create_task(self.stop.wait())
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if task.done():
            task.result()
            return True
        await _cancel([task])
        return False


def _webhook(settings: Settings, metrics: OperatorMetrics) -> Webhook:
    header = (settings.webhook_header, settings.webhook_secret)
    return Webhook(settings.webhook_url, header=header, source=settings.webhook_source, count=metrics.notified)


def _no_fence() -> None:
    return None


async def _cancel(tasks: list[asyncio.Task[None]] | list[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _find(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """The error itself or the first of its kind in a group."""
    if isinstance(error, BaseExceptionGroup):
        found = error.subgroup(kind)
        return found.exceptions[0] if found else None
    return error if isinstance(error, kind) else None


async def run(settings: Settings, factories: Mapping[str, ControllerFactory]) -> int:
    """The whole life of the operator. Raises NoClusterError, and OSError when the health port is taken."""
    return await Process(settings, factories).run()
