"""The status of a resource whose reconcile could not come to a decision: as it was, but for the conditions. Pure.

Works on the resource as JSON, because its spec may be what is wrong."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from slipway.api import conditions
from slipway.api.conditions import Condition
from slipway.controllers.shared.conditions import of_reason
from slipway.kube.port import Object
from slipway.reconcile.contract import Event, Stalled, StatusUpdate, Transient

KEPT = (conditions.AVAILABLE,)
"""Conditions that say something else than how the reconcile went."""


class StoppedStatus:
    """The part of a controller that says why a reconcile came to no decision: the same for all kinds."""

    def status_stalled(self, resource: Object, stalled: Stalled, now: datetime) -> StatusUpdate:
        return stopped_status(resource, stalled.reason, stalled.message, now)

    def status_transient(self, resource: Object, transient: Transient, now: datetime) -> StatusUpdate:
        return stopped_status(resource, transient.reason, transient.message, now)


def stopped_status(resource: Object, reason: str, message: str, now: datetime) -> StatusUpdate:
    """`reason` as the conditions show it, and one warning when it is new."""
    status: dict[str, Any] = dict(resource.get("status") or {})
    old = _conditions(status.get("conditions", ()))
    generation = int(resource["metadata"].get("generation", 0))
    extra = [condition for condition in old if condition.type in KEPT]
    merged = of_reason(reason, message, old=old, generation=generation, now=now, extra=extra)
    status["observedGeneration"] = generation
    status["conditions"] = [condition.to_dict() for condition in merged]
    ready = conditions.find(old, conditions.READY)
    told = ready is not None and ready.reason == reason
    return StatusUpdate(status, () if told else (Event("Warning", reason, message),))


def _conditions(found: Any) -> tuple[Condition, ...]:
    conditions_read = []
    for entry in found:
        try:
            conditions_read.append(Condition.model_validate(entry))
        except ValidationError:
            continue
    return tuple(conditions_read)
