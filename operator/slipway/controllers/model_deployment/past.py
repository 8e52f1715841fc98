"""What the registry knows of a ModelDeployment that has no status yet, or none any more: what served, and what was given up. And
the other way round: what the registry is to know. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from slipway.api.common import HISTORY, InvalidResource
from slipway.api.model_deployment import ModelDeployment, ModelDeploymentStatus, Revision, Served
from slipway.kube.port import Object
from slipway.registry.records import RolloutRecord, VersionRecord, digest_of

_SOON = timedelta(minutes=5)
"""A revision that served is given up at most so long after another has taken over."""


@dataclass(frozen=True)
class Past:
    """`records`, newest first. `held` was given up under the very spec of now; `instead` served before it, in `image`."""

    records: tuple[RolloutRecord, ...] = ()
    held: RolloutRecord | None = None
    instead: VersionRecord | None = None
    image: str = ""


def is_asked_for(status: ModelDeploymentStatus | None) -> bool:
    """Whether status knows too little to go on by itself."""
    return status is None or (status.stable is None and (status.candidate is None or status.held is not None))


def held_record(records: Iterable[RolloutRecord], revision: str, spec: Object) -> RolloutRecord | None:
    """Why `revision` was given up under this `spec`; None when it was not, or has served since."""
    for record in sorted(records, key=lambda record: record.at, reverse=True):
        if record.revision == revision:
            return record if record.outcome == "Held" and record.spec == digest_of(spec) else None
    return None


def last_served(records: Iterable[RolloutRecord], model: str, *, but: str) -> RolloutRecord | None:
    """The version of `model` that served last, other than the revision `but` and any that was given up later."""
    newest: dict[str, RolloutRecord] = {}
    for record in sorted(records, key=lambda record: record.at):
        newest[record.revision] = record
    good = [r for r in newest.values() if r.outcome == "Served" and r.revision != but and r.model == model]
    return max(good, key=lambda record: record.at, default=None)


def history_of(records: Iterable[RolloutRecord]) -> tuple[Served, ...]:
    """The records as status shows them, newest first."""
    by_time = sorted(records, key=lambda record: record.at)
    served = [record for record in by_time if record.outcome == "Served"]
    held = [record for record in by_time if record.outcome == "Held"]
    made = []
    for index, record in enumerate(served):
        until = served[index + 1].at if index + 1 < len(served) else None
        end = until + _SOON if until is not None else None
        why = next(
            (h.reason for h in held if h.revision == record.revision and h.at >= record.at and (end is None or h.at <= end)), None
        )
        made.append(
            Served(
                revision=record.revision,
                version=record.version,
                digest=record.digest,
                image=record.image,
                since=record.at,
                until=until,
                reason=why,
            )
        )
    return tuple(reversed(made))[:HISTORY]


def records_of(resource: Object) -> tuple[RolloutRecord, ...]:
    """What the status of `resource` says of what served and what is held."""
    try:
        deployment = ModelDeployment.parse(resource)
    except InvalidResource:
        return ()
    status = deployment.status
    if status is None:
        return ()
    made = [
        _served(deployment, entry, entry.since) for entry in (*reversed(status.history), status.stable) if entry and entry.since
    ]
    held = status.held
    if held is not None and held.since is not None and status.observed_generation == deployment.metadata.generation:
        made.append(
            RolloutRecord(
                namespace=deployment.metadata.namespace,
                name=deployment.metadata.name,
                outcome="Held",
                model="/".join(deployment.model_name()),
                version=held.version,
                digest=held.digest,
                revision=held.revision,
                at=held.since,
                reason=held.reason,
                message=held.message,
                spec=digest_of(resource["spec"]),
            )
        )
    return tuple(made)


def _served(deployment: ModelDeployment, entry: Revision | Served, since: datetime) -> RolloutRecord:
    return RolloutRecord(
        namespace=deployment.metadata.namespace,
        name=deployment.metadata.name,
        outcome="Served",
        model="/".join(deployment.model_name()),
        version=entry.version,
        digest=entry.digest,
        revision=entry.revision,
        image=entry.image,
        at=since,
    )
