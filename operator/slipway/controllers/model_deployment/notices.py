"""What a ModelDeployment's status records and others are told of: roll-outs, steps, promotions, ways back, what is held, and
what waits for a person. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from slipway.api import conditions
from slipway.api.common import InvalidResource, format_time
from slipway.api.model_deployment import ModelDeployment, ModelDeploymentStatus, Revision
from slipway.kube.port import Object
from slipway.reconcile.notices import Notice

STARTED, STEP, PROMOTED, ROLLED_BACK, HELD = "rollout-started", "step-begun", "promoted", "rolled-back", "held"
APPROVAL_NEEDED, APPROVED, GATE_FAILED = "approval-needed", "approved", "gate-failed"


def notices(resource: Object) -> tuple[Notice, ...]:
    """All that is recorded, oldest first."""
    try:
        deployment = ModelDeployment.parse(resource)
    except InvalidResource:
        return ()
    if deployment.status is None:
        return ()
    made = (*_stable(deployment, deployment.status), *_candidate(deployment, deployment.status), *_held(deployment))
    return tuple(sorted(made, key=lambda notice: notice.at))


def _stable(deployment: ModelDeployment, status: ModelDeploymentStatus) -> Iterator[Notice]:
    stable = status.stable
    if stable is None or stable.since is None:
        return
    facts = _facts(deployment, stable)
    before = status.history[0] if status.history and status.history[0].revision != stable.revision else None
    if before is not None:
        facts["previousVersion"] = before.version
    served = any(entry.revision == stable.revision for entry in status.history)
    if before is not None and (before.reason or served):
        why = {"reason": before.reason} if before.reason else {}
        words = f"version {stable.version} serves again; version {before.version} is taken back"
        yield Notice(ROLLED_BACK, _name(stable, stable.since), stable.since, words, facts | why)
    else:
        yield Notice(PROMOTED, _name(stable, stable.since), stable.since, f"version {stable.version} took over", facts)
    for verdict in stable.gates:
        if verdict.verdict == "Fail":
            at = verdict.since or stable.since
            words = f"version {stable.version}, gate {verdict.name}: {verdict.message}"
            gate = {"gate": verdict.name, "value": verdict.value}
            yield Notice(GATE_FAILED, f"{_name(stable, at)}/{verdict.name}", at, words, facts | gate)


def _candidate(deployment: ModelDeployment, status: ModelDeploymentStatus) -> Iterator[Notice]:
    candidate = status.candidate
    if candidate is None or candidate.since is None:
        return
    facts = _facts(deployment, candidate)
    name = _name(candidate, candidate.since)
    yield Notice(STARTED, name, candidate.since, f"version {candidate.version} starts as revision {candidate.revision}", facts)
    steps = deployment.spec.rollout.steps if deployment.spec.rollout else ()
    if candidate.step is not None and candidate.step < len(steps) and candidate.step_since is not None:
        weight = candidate.weight or 0
        words = f"version {candidate.version}: step {candidate.step + 1} has begun with {weight} % of the requests"
        step = {"step": candidate.step + 1, "weight": weight}
        yield Notice(STEP, f"{name}/{candidate.step}", candidate.step_since, words, facts | step)
    for approval in candidate.approvals:
        words = f"version {candidate.version}: step {approval.step + 1} was let begin by {approval.by or 'somebody'}"
        said = {"step": approval.step + 1, "by": approval.by, "reason": approval.reason}
        yield Notice(APPROVED, f"{name}/{approval.step}", approval.at or candidate.since, words, facts | said)
    ready = conditions.find(status.conditions, conditions.READY)
    if ready is not None and ready.reason == conditions.WAITING_FOR_APPROVAL:
        at = candidate.step_since or candidate.since
        yield Notice(APPROVAL_NEEDED, f"{name}/{candidate.step}", at, ready.message, facts)


def _held(deployment: ModelDeployment) -> Iterator[Notice]:
    held = deployment.status.held if deployment.status else None
    if held is None or held.since is None:
        return
    facts = {
        "model": "/".join(deployment.model_name()),
        "version": held.version,
        "digest": held.digest,
        "revision": held.revision,
        "reason": held.reason,
    }
    words = f"version {held.version} is held: {held.message}"
    yield Notice(HELD, f"{held.revision}/{format_time(held.since)}", held.since, words, facts)


def _facts(deployment: ModelDeployment, revision: Revision) -> dict[str, Any]:
    return {
        "model": "/".join(deployment.model_name()),
        "version": revision.version,
        "digest": revision.digest,
        "image": revision.image,
        "revision": revision.revision,
    }


def _name(revision: Revision, at: datetime) -> str:
    return f"{revision.revision}/{format_time(at)}"
