"""What has to be there before resources can be looked at: the custom resource definitions, and a store that keeps its
promises. Waiting says so, in the log and in /readyz, instead of dying and being restarted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from slipway.kube.port import Kube, KubeError, Rejected, Resource
from slipway.reconcile.contract import Stalled, Transient
from slipway.reconcile.errors import STORE_DENIED, STORE_UNAVAILABLE, STORE_UNSUITABLE
from slipway.storage.port import StorageError
from slipway.storage.probe import ProbeReport

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]

RETRY_UNAVAILABLE = (1.0, 2.0, 5.0, 10.0, 30.0)
RETRY_REFUSED = 60.0
"""Seconds until a store that was refused is tried again: somebody may have created the bucket, or given the right."""
LOOK_FOR_KINDS = 2.0
TELL_EVERY = 15
"""Looks between two log lines that say the same."""


class StoreGate:
    """Whether the store may be used: it is probed until it passes, then never again. `check` goes first in each
    reconcile."""

    def __init__(
        self,
        probe: Callable[[], Awaitable[ProbeReport]],
        *,
        on_pass: Callable[[], None] = lambda: None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._probe = probe
        self._on_pass = on_pass
        self._sleep = sleep
        self._report: ProbeReport | None = None
        self.asked = asyncio.Event()
        """Set when the first answer is there, whatever it is."""

    async def run(self) -> None:
        """Probes until the store passes."""
        tries = 0
        while True:
            try:
                report = await self._probe()
            except StorageError as error:
                report = ProbeReport("Unavailable", str(error))
            if self._report is None or self._report.message != report.message:
                log.log(logging.INFO if report.ok else logging.ERROR, "store: %s", report.message)
            self._report = report
            self.asked.set()
            if report.ok:
                self._on_pass()
                return
            quick = report.verdict == "Unavailable"
            await self._sleep(RETRY_UNAVAILABLE[min(tries, len(RETRY_UNAVAILABLE) - 1)] if quick else RETRY_REFUSED)
            tries += 1

    def check(self) -> None:
        """Raises Transient while nothing is known or the store is away, Stalled when it was refused."""
        report = self._report
        if report is None:
            raise Transient(STORE_UNAVAILABLE, "the store has not answered since the operator started")
        match report.verdict:
            case "Ok":
                return
            case "Unavailable":
                raise Transient(STORE_UNAVAILABLE, report.message)
            case "Denied":
                raise Stalled(STORE_DENIED, report.message)
            case "Refused":
                raise Stalled(STORE_UNSUITABLE, report.message)

    def problem(self) -> str | None:
        """For /readyz."""
        if self._report is None:
            return "the store has not answered yet"
        return None if self._report.ok else self._report.message


class Kinds:
    """Whether the API server knows our kinds, seen from `namespace`."""

    def __init__(self, kube: Kube, resources: Iterable[Resource], namespace: str, *, sleep: Sleep = asyncio.sleep) -> None:
        self._kube = kube
        self._resources = tuple(resources)
        self._namespace = namespace
        self._sleep = sleep
        self._problem: str | None = "not looked for yet"

    async def wait(self) -> None:
        """Returns when all kinds are there; says what is missing meanwhile."""
        looks = 0
        while True:
            problem = await self._look()
            if problem is not None and (problem != self._problem or looks % TELL_EVERY == 0):
                log.warning("waiting: %s", problem)
            self._problem = problem
            if problem is None:
                return
            looks += 1
            await self._sleep(LOOK_FOR_KINDS)

    async def _look(self) -> str | None:
        missing = []
        for resource in self._resources:
            try:
                # no object has this name; the answer tells whether the kind exists
                await self._kube.get(resource, self._namespace, "slipway-kind-check")
            except Rejected as error:
                if error.code != 404:
                    return str(error)
                missing.append(f"{resource.plural}.{resource.group}")
            except KubeError as error:
                return str(error)
        if not missing:
            return None
        return f"custom resource definitions are missing: {', '.join(missing)}; install the chart's CRDs (crds.enabled)"

    def problem(self) -> str | None:
        """For /readyz."""
        return self._problem
