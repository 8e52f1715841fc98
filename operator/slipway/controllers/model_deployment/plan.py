"""Decides a ModelDeployment's next step and what has to be written for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from slipway.controllers.model_deployment.children import deployment_name, kept_deployment, new_deployment, service
from slipway.controllers.model_deployment.facts import GivenUp, facts_of, given_up, instead_of_held, judged
from slipway.controllers.model_deployment.gateway import (
    LOOK_AGAIN,
    Route,
    candidate_service,
    gateway_of,
    http_route,
    left_over_route,
    route_of,
)
from slipway.controllers.model_deployment.judging import Judgement, Subject
from slipway.controllers.model_deployment.observed import Observed
from slipway.controllers.model_deployment.policy import revision_of
from slipway.controllers.model_deployment.program import Program, program_for
from slipway.controllers.model_deployment.rollout import Rollout, next_rollout
from slipway.controllers.model_deployment.scaling import SWITCH_SECONDS, helpers, is_switching, is_theirs, left_over
from slipway.controllers.model_deployment.validate import Valid
from slipway.kube.port import Object
from slipway.kube.resources import DEPLOYMENT
from slipway.reconcile.contract import Deletion, Planned, PutPin, Tell

SHADOW_PATH = "/slipway/shadow"
COPY_SECONDS = 10.0
"""Pods stop copying three intervals and so many seconds after they were last told to."""


@dataclass(frozen=True)
class Decision:
    wanted: str | None
    rollout: Rollout
    program: Program
    held: GivenUp | None
    """What was held before."""
    subject: Subject | None
    judgement: Judgement
    route: Route | None = None
    """What gateways said of the route, as it was read."""


def plan(valid: Valid, now: datetime) -> Planned[Decision]:
    """The whole plan; `now` decides what time alone changes."""
    observed = valid.observed
    program = program_for(observed.deployment)
    subject, result = judged(observed, program, now)
    held = given_up(observed)
    route = route_of(observed, now)
    rollout = next_rollout(facts_of(valid, subject, result, held, route), now)
    decision = Decision(valid.wanted, rollout, program, held, subject, result, route)
    live = {revision_of(child): child for child in observed.deployments}
    deletions = tuple(
        Deletion(DEPLOYMENT, child["metadata"]["namespace"], child["metadata"]["name"], child["metadata"]["uid"])
        for name in rollout.retire
        for child in (live[name],)
    )
    pins = _pins(valid, rollout)
    if rollout.gave_up is not None or observed.unreachable is not None:
        # Nothing but taking the traffic away, which must not wait for the store; the rest is for the next look.
        pins, deletions = (), ()
    deletions += (*left_over(observed), *left_over_route(observed))
    return Planned(
        decision=decision,
        before=pins,
        children=_children(valid, rollout, held, live),
        deletions=deletions,
        tell=_tell(observed, rollout, program),
        requeue_after=SWITCH_SECONDS if is_switching(observed) else _requeue(decision),
        live=(*observed.deployments, *(child for child in (observed.service, observed.route) if child), *observed.helpers),
    )


def _children(valid: Valid, rollout: Rollout, held: GivenUp | None, live: Mapping[str, Object]) -> tuple[Object, ...]:
    """The Service first: when traffic has to be taken from a revision, nothing is done before that."""
    observed = valid.observed
    children: list[Object] = []
    if rollout.serve is not None:
        if rollout.gave_up is not None:
            held = GivenUp(rollout.gave_up, rollout.reason, rollout.message)
        note = held.note(observed.deployment) if held is not None else None
        children.append(service(observed, rollout.serve, shared=rollout.shared, held=note))
        if (rollout.routed or rollout.copied) and rollout.candidate is not None and rollout.candidate in live:
            children.append(candidate_service(observed, rollout.candidate, live[rollout.candidate]))
        children += _routed(observed, rollout, live)
    for revision, replicas in rollout.run.items():
        manifest = _deployment(valid, live, revision, _ours(valid, rollout, live.get(revision), revision, replicas))
        if manifest is not None:
            children.append(manifest)
    target = deployment_name(observed, rollout.stable) if rollout.stable is not None else None
    return (*children, *helpers(observed, target))


def _routed(observed: Observed, rollout: Rollout, live: Mapping[str, Object]) -> list[Object]:
    """The HTTPRoute. None where the kind is missing."""
    gateway = gateway_of(observed.deployment)
    if gateway is None or observed.unroutable is not None:
        return []
    deployment = live.get(rollout.candidate or "")
    if not rollout.routed or rollout.candidate is None or deployment is None:
        return [http_route(observed, gateway, None, 0)]
    return [http_route(observed, gateway, rollout.candidate, rollout.weight)]


def _ours(valid: Valid, rollout: Rollout, live: Object | None, revision: str, replicas: int) -> int | None:
    """The number of pods to apply; None where the autoscaler decides it, which is for the stable revision only."""
    scaled = valid.observed.deployment.spec.autoscaling is not None and revision == rollout.stable
    return None if scaled and not rollout.promoted and live is not None and is_theirs(live) else replicas


def _tell(observed: Observed, rollout: Rollout, program: Program) -> tuple[Tell, ...]:
    """What pods that copy requests are told: for a while, again and again, or that it is over."""
    before = observed.deployment.status.candidate if observed.deployment.status else None
    candidate, percent = (rollout.candidate, rollout.weight) if rollout.copied and rollout.weight else (None, 0)
    if candidate is None and before is not None and before.step is not None:
        candidate = before.revision
    if not observed.copying or candidate is None:
        return ()
    said = {
        "candidate": candidate,
        "percent": percent,
        "seconds": COPY_SECONDS + 3 * program.interval,
        "tolerance": program.tolerance,
    }
    return (Tell(tuple(f"{url}{SHADOW_PATH}" for url in observed.copying), said),)


def _deployment(valid: Valid, deployments: Mapping[str, Object], revision: str, replicas: int | None) -> Object | None:
    """None for a stable revision whose Deployment somebody deleted while spec asks for another: what it was made of is not
    known any more."""
    observed = valid.observed
    live = deployments.get(revision)
    if live is not None:
        return kept_deployment(observed, live, revision, replicas)
    if revision == valid.wanted and observed.version is not None and observed.image is not None:
        return new_deployment(observed, revision, replicas, observed.version, observed.image)
    before = observed.past
    if before is not None and before.instead is not None and revision == instead_of_held(observed):
        return new_deployment(observed, revision, replicas, before.instead, before.image)
    return None


def _pins(valid: Valid, rollout: Rollout) -> tuple[PutPin, ...]:
    """Says what is used before it is used, and only when that changed: each pin is a write to the store."""
    observed = valid.observed
    meta, status = observed.deployment.metadata, observed.deployment.status
    model = "/".join(observed.deployment.model_name())
    entries = (*reversed(status.history), status.held, status.stable, status.candidate) if status else ()
    # What is held may not come back: its image is not known any more, and not used.
    known = {one.revision: (f"{model}:{one.version}", getattr(one, "image", "")) for one in entries if one is not None}
    before = {known[name] for child in observed.deployments if (name := revision_of(child)) in known}
    if valid.wanted is not None and observed.version is not None:
        known[valid.wanted] = (f"{observed.version.model}:{observed.version.version}", observed.image or "")
    if observed.past is not None and observed.past.instead is not None:
        before_it = observed.past.instead
        known[instead_of_held(observed) or ""] = (f"{before_it.model}:{before_it.version}", observed.past.image)
    used = {known[name] for name in rollout.run if name in known}
    if used == before or not used:
        return ()
    versions, images = ({one[place] for one in used} - {""} for place in (0, 1))
    return (PutPin("ModelDeployment", meta.namespace, meta.name, versions=tuple(sorted(versions)), images=tuple(sorted(images))),)


def _requeue(decision: Decision) -> float | None:
    """When time alone changes something, or gates are due. An alias that moves is told by `slipway.reconcile.follow`."""
    waits = [decision.rollout.look_again, decision.judgement.look_again]
    if decision.rollout.candidate is not None and decision.program.gates and decision.rollout.weight:
        waits.append(decision.program.interval)
    if decision.rollout.promoted and decision.program.watch_gates:
        waits.append(decision.program.interval)
    if decision.rollout.copied and decision.rollout.weight:
        waits.append(decision.program.interval)
    if decision.route is not None:
        waits.append(decision.route.look_again)
        if decision.rollout.routed and decision.rollout.weight and not decision.rollout.step_ready:
            waits.append(LOOK_AGAIN)
    return min((seconds for seconds in waits if seconds is not None), default=None)
