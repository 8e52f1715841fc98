"""Leader election by a Lease, as client-go does it: one instance writes, another takes over when it falls silent.

The times of other instances' clocks are never compared with ours: a lease counts as expired when it was seen
unchanged for its whole duration by our own monotonic clock. `fence` is asked before each write, and forbids it from
`renew_deadline` seconds after the last renewal on: earlier than anybody else may take the lease.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from slipway.kube.port import Conflict, Kube, KubeError, Object
from slipway.kube.resources import LEASE
from slipway.reconcile.errors import LeaseLost

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeaseTimes:
    """Seconds. `duration`: after so long unchanged, others may take the lease. `renew_deadline`: after so long without
    renewal we stop writing. `retry`: pause between tries."""

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = 2.0


class Lease:
    """`identity` names this instance. Use a client of its own: renewals must not wait behind other requests."""

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        name: str,
        identity: str,
        *,
        times: LeaseTimes | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self.identity = identity
        self._times = times or LeaseTimes()
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._uniform = uniform
        self._seen: tuple[Any, float] | None = None
        self._renewed: float | None = None
        self._lost = False

    @property
    def held(self) -> bool:
        """Whether this instance is the leader now."""
        return not self._lost and self._renewed is not None and self._left() > 0

    def fence(self) -> None:
        """Raises LeaseLost when this instance may no longer write. Once raised, it always is."""
        if not self.held:
            self._lost = True
            raise LeaseLost(f"{self.identity} is not the leader any more: lease {self._namespace}/{self._name}")

    async def acquire(self) -> None:
        """Waits until this instance is the leader."""
        told = False
        while not await self._try():
            if not told:
                log.info("waiting for lease %s/%s", self._namespace, self._name)
                told = True
            await self._sleep(self._times.retry * self._uniform(1.0, 1.2))
        log.info("leading as %s", self.identity)

    async def hold(self) -> None:
        """Renews for as long as that works. Raises LeaseLost when it does not, at the deadline at the latest."""
        while True:
            await self._sleep(self._times.retry)
            try:
                async with asyncio.timeout(max(0.1, self._left())):
                    renewed = await self._try()
            except TimeoutError:
                renewed = False
            if self._renewed is None or (not renewed and self._left() <= 0):
                self._lost = True
                raise LeaseLost(f"{self.identity} could not renew lease {self._namespace}/{self._name}")

    async def release(self) -> None:
        """Gives the lease back, so that another instance need not wait for it to expire. Best effort."""
        if not self.held:
            return
        self._lost = True
        try:
            lease = await self._kube.get(LEASE, self._namespace, self._name)
            if lease is not None and _holder(lease) == self.identity:
                await self._kube.replace(self._manifest(lease, holder="", duration=1))
        except KubeError as error:
            log.warning("lease not released: %s", error)

    async def _try(self) -> bool:
        """One try to get or to renew the lease. Forgets that it was ours when it is somebody else's."""
        started = self._monotonic()
        try:
            lease = await self._kube.get(LEASE, self._namespace, self._name)
            if lease is None:
                await self._kube.create(self._manifest(None))
            elif self._free(lease):
                await self._kube.replace(self._manifest(lease))
            else:
                self._renewed = None
                return False
        except Conflict:
            return False  # somebody was quicker; the next look tells
        except KubeError as error:
            log.warning("lease %s/%s: %s", self._namespace, self._name, error)
            return False
        # counted from before the request: the server may have taken it at any time since
        self._renewed = started
        return True

    def _free(self, lease: Object) -> bool:
        """Whether the lease is ours, nobody's, or was seen unchanged for all its duration."""
        holder = _holder(lease)
        if not holder or holder == self.identity:
            return True
        spec = lease.get("spec", {})
        version = (holder, spec.get("renewTime"), lease["metadata"].get("resourceVersion"))
        now = self._monotonic()
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, now)
            return False
        return now - self._seen[1] >= float(spec.get("leaseDurationSeconds") or self._times.duration)

    def _manifest(self, old: Object | None, *, holder: str | None = None, duration: int | None = None) -> Object:
        now = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = dict(old.get("spec", {})) if old else {}
        new_holder = self.identity if holder is None else holder
        if spec.get("holderIdentity") != new_holder:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + (1 if old else 0)
        spec["holderIdentity"] = new_holder
        spec["leaseDurationSeconds"] = duration or int(self._times.duration)
        spec["renewTime"] = now
        metadata = old["metadata"] if old else {"name": self._name, "namespace": self._namespace}
        return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}

    def _left(self) -> float:
        """Seconds that writing is still allowed for."""
        if self._renewed is None:
            return 0.0
        return self._renewed + self._times.renew_deadline - self._monotonic()


def _holder(lease: Object) -> str:
    return str(lease.get("spec", {}).get("holderIdentity") or "")
