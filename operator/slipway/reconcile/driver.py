"""One reconcile, generic over kinds: observe, validate, plan, apply, status. No decision depends on what was before."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from slipway.kube.port import Kube, Object, Unavailable
from slipway.reconcile.apply import Applier
from slipway.reconcile.contract import Conflict, Controller, Key, LeavesTraces, Stalled, StatusUpdate, Transient
from slipway.reconcile.errors import INTERNAL_ERROR, LeaseLost, NamespaceGone, classify
from slipway.reconcile.moves import Moved, RegistryMoves
from slipway.reconcile.status_writer import StatusWriter

log = logging.getLogger(__name__)

Word = Literal["success", "stalled", "transient", "conflict", "gone"]


@dataclass(frozen=True)
class Outcome:
    """How a reconcile ended, for the queue. `after` in seconds: the next look that was asked for (success), or the
    least that the server wants to be left alone (transient)."""

    word: Word
    reason: str = ""
    message: str = ""
    after: float | None = None
    wrote_status: bool = False


AnyController = Controller[Any, Any, Any]


class Listener(Protocol):
    """Is shown what each status says: as it is first read, and whenever it is as it shall be. Raises nothing, and has to know
    itself what it has seen."""

    async def looked(self, controller: object, resource: Object) -> None:
        """`resource` with its status."""

    def gone(self, key: Key) -> None:
        """It is no more."""


def _open() -> None:
    return None


class Driver:
    """`clock` gives the time in UTC. `gate` runs first in each reconcile and raises Transient or Stalled while
    nothing can be decided at all (the store has not passed its probe). `listeners` are shown what every status says."""

    def __init__(
        self,
        kube: Kube,
        controllers: Mapping[str, AnyController],
        applier: Applier,
        moves: RegistryMoves,
        statuses: StatusWriter,
        *,
        clock: Callable[[], datetime],
        gate: Callable[[], None] = _open,
        listeners: Iterable[Listener] = (),
    ) -> None:
        self._kube = kube
        self._controllers = controllers
        self._applier = applier
        self._moves = moves
        self._statuses = statuses
        self._clock = clock
        self._gate = gate
        self._listeners = tuple(listeners)
        self._shown: set[tuple[str, str, str]] = set()

    async def reconcile(self, key: Key, failures: int) -> Outcome:
        """`failures` counts the Transient outcomes of this key since its last other one: status tells of the second.
        Raises LeaseLost, and nothing else."""
        started = time.monotonic()
        outcome = await self._reconcile(key, failures)
        quiet = outcome.word in ("success", "stalled", "gone") and not outcome.wrote_status
        log.log(
            logging.DEBUG if quiet else logging.INFO,
            "%s: %s%s",
            key,
            outcome.word,
            f" ({outcome.reason}: {outcome.message})" if outcome.reason else "",
            extra={
                "controller": key.kind,
                "namespace": key.namespace,
                "object": key.name,
                "outcome": outcome.word,
                "reason": outcome.reason,
                "seconds": round(time.monotonic() - started, 4),
            },
        )
        return outcome

    async def _reconcile(self, key: Key, failures: int) -> Outcome:
        controller = self._controllers[key.kind]
        try:
            resource = await self._kube.get(controller.resource, key.namespace, key.name)
            if resource is None or "deletionTimestamp" in resource["metadata"]:
                return await self._gone(controller, key, resource is None)
        except Exception as error:
            return self._unread(error, key)
        try:
            return await self._steps(controller, resource)
        except Exception as error:
            problem = self._classified(error, key)
        try:
            return await self._report(controller, resource, problem, failures)
        except Exception as error:
            return self._unread(error, key)

    async def _steps(self, controller: AnyController, resource: Object) -> Outcome:
        now = self._clock()
        # first, because no decision can be made when the store is unusable
        self._gate()
        # observe: reads only
        observed = await controller.observe(resource, now)
        # validate, plan: compute only
        planned = controller.plan(controller.validate(observed), now)
        # apply: writes children and registry, decides nothing
        applied = await self._applier.apply(planned, owner=resource, field_manager=controller.field_manager)
        # status: computes, then one write
        update = controller.status(observed, applied, now)
        wrote = await self._write(controller, resource, update)
        return Outcome("success", after=applied.requeue_after, wrote_status=wrote)

    async def _report(
        self,
        controller: AnyController,
        resource: Object,
        problem: Stalled | Transient | Conflict | NamespaceGone,
        failures: int,
    ) -> Outcome:
        now = self._clock()
        match problem:
            case Stalled(reason=reason, message=message):
                wrote = await self._write(controller, resource, controller.status_stalled(resource, problem, now))
                return Outcome("stalled", reason, message, wrote_status=wrote)
            case Transient(reason=reason, message=message):
                wrote = False
                if failures:
                    update = controller.status_transient(resource, problem, now)
                    wrote = await self._write(controller, resource, update)
                return Outcome("transient", reason, message, _wish(problem), wrote)
            case Conflict():
                return Outcome("conflict", "Conflict", str(problem))
            case NamespaceGone():
                return Outcome("gone", "NamespaceGone", str(problem))

    async def _write(self, controller: AnyController, resource: Object, update: StatusUpdate) -> bool:
        identity = (resource["kind"], resource["metadata"]["namespace"], resource["metadata"]["name"])
        if identity not in self._shown:
            # What the process before may have written last, and told nobody of.
            await self._show(controller, resource)
            self._shown.add(identity)
        wrote = await self._statuses.write(resource, update, field_manager=controller.field_manager)
        await self._show(controller, {**resource, "status": update.status})
        return wrote

    async def _show(self, controller: AnyController, resource: Object) -> None:
        for listener in self._listeners:
            await listener.looked(controller, resource)

    async def _gone(self, controller: AnyController, key: Key, absent: bool) -> Outcome:
        """Children go by their owner references; only what is outside the cluster is left to do."""
        if absent and isinstance(controller, LeavesTraces):
            await self._kube.confirm_gone(controller.resource, key.namespace, key.name)
            for move in controller.gone(key.namespace, key.name):
                await self._moves.make(move, Moved())
        if absent:
            self._shown.discard((key.kind, key.namespace, key.name))
            for listener in self._listeners:
                listener.gone(key)
        return Outcome("gone")

    def _classified(self, error: Exception, key: Key) -> Stalled | Transient | Conflict | NamespaceGone:
        if isinstance(error, LeaseLost):
            raise error
        problem = classify(error)
        if problem is None:
            log.error("%s: a step failed in a way that nobody foresaw", key, exc_info=error)
            words = f"{type(error).__name__}: {error}"
            problem = Transient(INTERNAL_ERROR, f"{words[:500]} (the operator's log has the details); it is tried again")
        if problem is not error:
            problem.__cause__ = error
        return problem

    def _unread(self, error: Exception, key: Key) -> Outcome:
        """An error before there was a resource to report on, or in reporting itself: the log has to do."""
        problem = self._classified(error, key)
        match problem:
            case Transient(reason=reason, message=message):
                return Outcome("transient", reason, message, _wish(problem))
            case Stalled(reason=reason, message=message):
                # Not to be told in status: try again, in case that is what keeps it from being told.
                log.error("%s: %s", key, message)
                return Outcome("transient", reason, message)
            case Conflict():
                return Outcome("conflict", "Conflict", str(problem))
            case NamespaceGone():
                return Outcome("gone", "NamespaceGone", str(problem))


def _wish(problem: Transient) -> float | None:
    """How long the server asked to be left alone, in seconds."""
    cause = problem.__cause__
    return cause.retry_after if isinstance(cause, Unavailable) else None
