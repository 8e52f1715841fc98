"""Decides a ModelDeployment's next step and what has to be written for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from slipway.api.common import LABEL_REVISION
from slipway.controllers.model_deployment.children import kept_deployment, new_deployment, service
from slipway.controllers.model_deployment.observed import Observed
from slipway.controllers.model_deployment.policy import held_revision, revision_of
from slipway.controllers.model_deployment.rollout import Facts, Rollout, next_rollout
from slipway.controllers.model_deployment.validate import Valid
from slipway.kube.port import Object
from slipway.kube.resources import DEPLOYMENT
from slipway.reconcile.contract import Deletion, Planned, PutPin


@dataclass(frozen=True)
class Decision:
    wanted: str | None
    rollout: Rollout


def plan(valid: Valid, now: datetime) -> Planned[Decision]:
    """The whole plan; `now` decides when a retired revision goes."""
    observed = valid.observed
    deployments = {revision_of(child): child for child in observed.deployments}
    rollout = next_rollout(_facts(valid, deployments), now)
    children: list[Object] = []
    for revision in rollout.run:
        manifest = _deployment(valid, deployments, revision)
        if manifest is not None:
            children.append(manifest)
    if rollout.serve is not None:
        children.append(service(observed, rollout.serve))
    deletions = tuple(
        Deletion(DEPLOYMENT, child["metadata"]["namespace"], child["metadata"]["name"], child["metadata"]["uid"])
        for name in rollout.retire
        for child in (deployments[name],)
    )
    live = (*observed.deployments, *((observed.service,) if observed.service else ()))
    return Planned(
        decision=Decision(valid.wanted, rollout),
        before=_pins(valid, rollout),
        children=tuple(children),
        deletions=deletions,
        requeue_after=_requeue(observed, rollout),
        live=live,
    )


def _facts(valid: Valid, deployments: dict[str, Object]) -> Facts:
    status = valid.observed.deployment.status
    selected = (valid.observed.service or {}).get("spec", {}).get("selector", {})
    return Facts(
        wanted=valid.wanted,
        stable=status.stable.revision if status and status.stable else None,
        stable_since=status.stable.since if status and status.stable else None,
        serving=selected.get(LABEL_REVISION),
        held=held_revision(valid.observed.deployment),
        deployments=deployments,
    )


def _deployment(valid: Valid, deployments: dict[str, Object], revision: str) -> Object | None:
    """None for a stable revision whose Deployment somebody deleted while spec asks for another: what it was made of is not
    known any more."""
    observed = valid.observed
    live = deployments.get(revision)
    if live is not None:
        return kept_deployment(observed, live, revision)
    if revision == valid.wanted and observed.version is not None and observed.image is not None:
        return new_deployment(observed, revision, observed.version, observed.image)
    return None


def _pins(valid: Valid, rollout: Rollout) -> tuple[PutPin, ...]:
    """Says what is used before it is used, and only when that changed: each pin is a write to the store."""
    observed = valid.observed
    meta, status = observed.deployment.metadata, observed.deployment.status
    known = {
        entry.revision: f"{'/'.join(observed.deployment.model_name())}:{entry.version}"
        for entry in ((status.stable, status.candidate) if status else ())
        if entry is not None
    }
    before = set(known.values())
    if valid.wanted is not None and observed.version is not None:
        known[valid.wanted] = f"{observed.version.model}:{observed.version.version}"
    used = {known[name] for name in rollout.run if name in known}
    if used == before or not used:
        return ()
    return (PutPin("ModelDeployment", meta.namespace, meta.name, versions=tuple(sorted(used))),)


def _requeue(observed: Observed, rollout: Rollout) -> float | None:
    """An alias is looked at again and again, since whoever moves it cannot tell us."""
    follows = observed.installation.alias_poll_seconds if observed.deployment.spec.model.alias else None
    waits = [seconds for seconds in (follows, rollout.look_again) if seconds is not None]
    return min(waits, default=None)
