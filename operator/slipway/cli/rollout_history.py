"""``slipway rollout history``: what a ModelDeployment served and what was given up, of its status and of the registry."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from slipway.api.common import format_time
from slipway.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from slipway.cli.errors import CliError, ExitCode
from slipway.cli.output import moment
from slipway.cli.session import Session
from slipway.kube.port import KubeError
from slipway.kube.resources import MODEL_DEPLOYMENT
from slipway.registry.records import RolloutRecord

HEADERS = ("AT", "OUTCOME", "VERSION", "REVISION", "REASON")


def past(session: Session, name: str) -> list[RolloutRecord]:
    """All that is known, newest first. Without the cluster, or when the resource is gone, what the registry knows. Raises
    CliError when neither knows anything."""
    found: list[RolloutRecord] = []
    if session.has_registry:
        found += session.registry.rollouts(session.namespace, name)
    try:
        resource = session.cluster.get(MODEL_DEPLOYMENT, session.namespace, name)
    except (KubeError, CliError):
        if not found:
            raise
        resource = None
    if resource is not None:
        found += of_status(ModelDeployment.parse(resource))
    if not found and resource is None:
        words = f"no ModelDeployment {name} in namespace {session.namespace}, and none in the registry's history"
        raise CliError(words, ExitCode.NOT_FOUND)
    by_fact = {(record.outcome, record.revision, record.at): record for record in found}
    return sorted(by_fact.values(), key=lambda record: record.at, reverse=True)


def of_status(deployment: ModelDeployment) -> Iterable[RolloutRecord]:
    """What status says. It says it sooner than the registry, and longer only of the last ten."""
    status = deployment.status or ModelDeploymentStatus()

    def record(entry: Any, at: datetime, **more: Any) -> RolloutRecord:
        return RolloutRecord(
            namespace=deployment.metadata.namespace,
            name=deployment.metadata.name,
            model="/".join(deployment.model_name()),
            version=entry.version,
            digest=entry.digest,
            revision=entry.revision,
            at=at,
            **more,
        )

    for entry in (status.stable, *status.history):
        if entry is not None and entry.since is not None:
            yield record(entry, entry.since, outcome="Served", image=entry.image)
    held = status.held
    if held is not None and held.since is not None:
        yield record(held, held.since, outcome="Held", reason=held.reason, message=held.message)


def rows(records: Iterable[RolloutRecord]) -> list[list[str]]:
    """As the table shows them."""
    return [
        [
            moment(record.at),
            record.outcome.lower(),
            str(record.version),
            record.revision,
            f"{record.reason}: {record.message}" if record.reason else "-",
        ]
        for record in records
    ]


def as_json(record: RolloutRecord) -> dict[str, Any]:
    """A record as scripts read it."""
    said = {"at": format_time(record.at), "outcome": record.outcome, "model": record.model, "version": record.version}
    said |= {"digest": record.digest, "revision": record.revision, "image": record.image}
    return said | ({"reason": record.reason, "message": record.message} if record.reason else {})
