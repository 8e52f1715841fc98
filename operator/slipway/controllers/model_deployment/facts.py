"""What the roll-out's decision starts from, out of what was observed. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from slipway.api import conditions
from slipway.api.common import ANNOTATION_APPROVE, LABEL_REVISION, Approval
from slipway.api.model_deployment import ModelDeployment, ModelDeploymentStatus, Revision
from slipway.api.rollout import ANNOTATION_ROLLOUT, Order
from slipway.controllers.model_deployment import program as prog
from slipway.controllers.model_deployment.children import ANNOTATION_HELD, ANNOTATION_STABLE, deployment_name
from slipway.controllers.model_deployment.gateway import Route
from slipway.controllers.model_deployment.judging import Judgement, Subject, judgement, subject
from slipway.controllers.model_deployment.observed import Observed
from slipway.controllers.model_deployment.policy import broke_off, cause, held_revision, revision_name, revision_of
from slipway.controllers.model_deployment.program import Program, program_for
from slipway.controllers.model_deployment.rollout import Facts
from slipway.controllers.model_deployment.scaling import full_replicas
from slipway.controllers.model_deployment.validate import Valid
from slipway.kube.port import Object


def judged(observed: Observed, program: Program, now: datetime) -> tuple[Subject | None, Judgement]:
    """Whom the gates look at, and how they come out."""
    deployment = observed.deployment
    found = subject(deployment, program, now)
    stable = deployment.status.stable if deployment.status else None
    return found, judgement(found, program, observed.readings, stable, now)


def facts_of(valid: Valid, found: Subject | None, result: Judgement, held: GivenUp | None, route: Route | None) -> Facts:
    """All that `slipway.controllers.model_deployment.rollout` decides by."""
    observed = valid.observed
    deployment = observed.deployment
    status = deployment.status or ModelDeploymentStatus()
    deployments = {revision_of(child): child for child in observed.deployments}
    selected, shared_by = _service(observed)
    watched = found is not None and found.watched
    ended = _broke_off(observed, found.revision.revision, found.revision.since) if found is not None and watched else None
    stable = status.stable.revision if status.stable else shared_by
    return Facts(
        wanted=valid.wanted,
        stable=stable,
        stable_since=status.stable.since if status.stable else None,
        serving=selected,
        held=held.revision if held is not None else None,
        deployments=deployments,
        replicas=full_replicas(deployment, deployments.get(stable or "")),
        program=program_for(deployment),
        candidate=_candidate(observed, status.candidate, None if watched else result, deployments, route),
        previous=tuple(entry.revision for entry in status.history),
        watch_failed=result.failed or ended if watched else None,
        watch_reason=conditions.CANDIDATE_FAILED if ended and not result.failed else conditions.GATE_FAILED,
        instead=instead_of_held(observed),
    )


def _broke_off(observed: Observed, revision: str, since: datetime | None) -> str | None:
    return broke_off(observed.pods.get(revision, ()), since)


def order_of(deployment: ModelDeployment) -> Order | None:
    """What a person wrote into the annotation."""
    text = deployment.metadata.annotations.get(ANNOTATION_ROLLOUT)
    return Order.parse(text) if text else None


def _service(observed: Observed) -> tuple[str | None, str | None]:
    """The revision that the Service selects, or the stable one of two that share it."""
    service = observed.service or {}
    selected = service.get("spec", {}).get("selector", {}).get(LABEL_REVISION)
    return selected, service.get("metadata", {}).get("annotations", {}).get(ANNOTATION_STABLE)


@dataclass(frozen=True)
class GivenUp:
    """A revision that was given up, and why. The Service keeps it too, written with the very change that takes the traffic
    away: status is written later, and the operator may end in between."""

    revision: str
    reason: str
    message: str
    since: datetime | None = None
    """When, where that is known."""

    def note(self, deployment: ModelDeployment) -> str:
        """As an annotation keeps it; `noted` reads it back."""
        body = {"revision": self.revision, "reason": self.reason, "message": self.message}
        return json.dumps({**body, "generation": deployment.metadata.generation}, ensure_ascii=False)


def given_up(observed: Observed) -> GivenUp | None:
    """The revision that was given up under the spec of now, unless a person wants it tried again."""
    deployment = observed.deployment
    status = deployment.status or ModelDeploymentStatus()
    order = order_of(deployment)
    if status.held is None:
        return _noted(deployment, status, observed.service) or _recorded(observed, status)
    again = order is not None and order.action == "retry" and order.since is not None
    if again and order is not None and order.concerns(status.held.revision, status.held.since):
        return None
    held = status.held
    return GivenUp(held.revision, held.reason, held.message) if held_revision(deployment) is not None else None


def _noted(deployment: ModelDeployment, status: ModelDeploymentStatus, service: Object | None) -> GivenUp | None:
    """What the Service keeps, while status still shows that revision at work."""
    text = (service or {}).get("metadata", {}).get("annotations", {}).get(ANNOTATION_HELD, "")
    try:
        note = json.loads(text)
        found = GivenUp(note["revision"], note["reason"], note["message"])
    except (ValueError, KeyError, TypeError):
        return None
    at_work = any(entry is not None and entry.revision == found.revision for entry in (status.candidate, status.stable))
    return found if at_work and note.get("generation") == deployment.metadata.generation else None


def _recorded(observed: Observed, status: ModelDeploymentStatus) -> GivenUp | None:
    """What the registry keeps, for a resource that was made anew."""
    held = observed.past.held if observed.past is not None and status.candidate is None else None
    return GivenUp(held.revision, held.reason or "", held.message, held.at) if held is not None else None


def instead_of_held(observed: Observed) -> str | None:
    """Name of the revision that served before the held one, when the cluster has forgotten it and the registry has not."""
    known = observed.past
    if known is None or known.instead is None:
        return None
    return revision_name(known.instead.digest, known.image, observed.deployment.spec)


def _candidate(
    observed: Observed,
    known: Revision | None,
    result: Judgement | None,
    deployments: Mapping[str, Object],
    route: Route | None,
) -> prog.Facts | None:
    if known is None:
        return None
    deployment = observed.deployment
    child = deployments.get(known.revision)
    why = cause(child, observed.pods.get(known.revision, ())) if child is not None else ""
    seconds = deployment.spec.progress_deadline_seconds
    order = order_of(deployment)
    return prog.Facts(
        revision=known.revision,
        version=known.version,
        ready=False,
        weight=known.weight or 0,
        routed=route.weights.get(deployment_name(observed, known.revision)) if route is not None else None,
        unroutable=(route.problem.reason, route.problem.message) if route is not None and route.problem is not None else None,
        step=known.step,
        step_since=known.step_since,
        deadline_passed=f"not ready within {seconds} s (spec.progressDeadlineSeconds): {why or 'it never answered'}",
        failed_gate=result.failed if result else None,
        broke_off=_broke_off(observed, known.revision, known.step_since) if known.step is not None else None,
        blocked_by=result.blocked if result else None,
        frozen=observed.unreachable,
        order=order if order is not None and order.concerns(known.revision, known.since) else None,
        approval=Approval.parse(deployment.metadata.annotations.get(ANNOTATION_APPROVE, "")),
        approvals=known.approvals,
    )
