"""What a ModelDeployment's status says after a reconcile, and which events that deserves. Pure."""

from __future__ import annotations

from datetime import datetime

from slipway.api import conditions
from slipway.api.conditions import Condition
from slipway.api.model_deployment import Held, ModelDeploymentStatus, Revision, Served
from slipway.controllers.model_deployment.children import url
from slipway.controllers.model_deployment.observed import Observed
from slipway.controllers.model_deployment.plan import Decision
from slipway.controllers.model_deployment.policy import (
    cause,
    creation_time,
    gave_up,
    held_revision,
    ready_replicas,
    revision_of,
)
from slipway.controllers.shared.conditions import of_reason
from slipway.kube.port import Object
from slipway.reconcile.contract import Applied, Event, StatusUpdate


def status(observed: Observed, applied: Applied[Decision], now: datetime) -> StatusUpdate:
    """The whole status as it shall be."""
    deployment, rollout = observed.deployment, applied.decision.rollout
    old = deployment.status or ModelDeploymentStatus()
    seen = {revision_of(child): child for child in (*observed.deployments, *_deployments(applied))}
    stable = _stable(observed, applied.decision, old, seen, now)
    candidate = _candidate(observed, rollout.candidate, old, seen, now)
    held = _held(observed, applied.decision, old, now)
    reason, message = _reason(observed, applied.decision, stable, candidate, held, seen)
    generation = deployment.metadata.generation
    merged = of_reason(
        reason,
        message,
        old=old.conditions,
        generation=generation,
        now=now,
        extra=(_available(observed, stable),),
    )
    new = ModelDeploymentStatus(
        observed_generation=generation,
        conditions=merged,
        url=url(observed),
        stable=stable,
        candidate=candidate,
        held=held,
        history=_history(old, stable, now),
    )
    return StatusUpdate(new.to_dict(), _events(old, stable, candidate, held, reason, message))


def _deployments(applied: Applied[Decision]) -> tuple[Object, ...]:
    return tuple(child for child in applied.children if child["kind"] == "Deployment")


def _seconds(time: datetime) -> datetime:
    return time.replace(microsecond=0)


def _stable(
    observed: Observed, decision: Decision, old: ModelDeploymentStatus, seen: dict[str, Object], now: datetime
) -> Revision | None:
    name = decision.rollout.stable
    if name is None:
        return None
    child = seen.get(name)
    ready = ready_replicas(child) if child else 0
    if old.stable is not None and old.stable.revision == name:
        version = observed.version
        # The same bytes may come under another number: a build that was forced, an alias moved to an equal version.
        number = version.version if version and decision.wanted == name else old.stable.version
        return old.stable.model_copy(update={"ready_replicas": ready, "version": number})
    if observed.version is not None and decision.wanted == name:
        return Revision(
            revision=name,
            version=observed.version.version,
            digest=observed.version.digest,
            image=observed.image or "",
            ready_replicas=ready,
            since=_seconds(now),
        )
    known = next((entry for entry in (old.candidate,) if entry and entry.revision == name), None)
    return known.model_copy(update={"ready_replicas": ready, "since": _seconds(now)}) if known else None


def _candidate(
    observed: Observed, name: str | None, old: ModelDeploymentStatus, seen: dict[str, Object], now: datetime
) -> Revision | None:
    if name is None or observed.version is None:
        return None
    child = seen.get(name)
    since = old.candidate.since if old.candidate and old.candidate.revision == name else None
    since = since or (creation_time(child) if child else None) or _seconds(now)
    return Revision(
        revision=name,
        version=observed.version.version,
        digest=observed.version.digest,
        image=observed.image or "",
        ready_replicas=ready_replicas(child) if child else 0,
        since=since,
    )


def _held(observed: Observed, decision: Decision, old: ModelDeploymentStatus, now: datetime) -> Held | None:
    """Remembered by revision for as long as the same spec asks for it, or what it asks for cannot be told."""
    given_up = decision.rollout.gave_up
    if given_up is None:
        kept = old.held
        if kept is None or held_revision(observed.deployment) is None or decision.rollout.stable == kept.revision:
            return None
        return kept if decision.wanted in (kept.revision, None) else None
    child = next(child for child in observed.deployments if revision_of(child) == given_up)
    seconds = observed.deployment.spec.progress_deadline_seconds
    why = cause(child, observed.pods.get(given_up, ())) or "it never answered"
    assert observed.version is not None
    return Held(
        revision=given_up,
        version=observed.version.version,
        digest=observed.version.digest,
        reason=conditions.CANDIDATE_FAILED,
        message=f"not ready within {seconds} s (spec.progressDeadlineSeconds): {why}",
        since=_seconds(now),
    )


def _reason(
    observed: Observed,
    decision: Decision,
    stable: Revision | None,
    candidate: Revision | None,
    held: Held | None,
    seen: dict[str, Object],
) -> tuple[str, str]:
    serving = f"version {stable.version} serves on" if stable else "nothing is served yet"
    if observed.missing is not None:
        return observed.missing.reason, f"{observed.missing.message}; {serving}"
    if held is not None:
        return conditions.CANDIDATE_FAILED, f"version {held.version} is held: {held.message}; {serving}"
    if candidate is not None:
        return _starting(observed, candidate, serving, seen)
    replicas = observed.deployment.spec.replicas
    if replicas == 0:
        return conditions.NO_REPLICAS, "spec.replicas is 0: nothing is served"
    ready = (stable.ready_replicas or 0) if stable else 0
    number = stable.version if stable else 0
    if ready < replicas:
        child = seen.get(stable.revision) if stable else None
        why = cause(child, observed.pods.get(stable.revision, ())) if child and stable else ""
        return conditions.NOT_READY, f"version {number}: {ready} of {replicas} pods answer" + (f": {why}" if why else "")
    return conditions.SERVING, f"version {number} serves on {ready} of {replicas} pods"


def _starting(observed: Observed, candidate: Revision, serving: str, seen: dict[str, Object]) -> tuple[str, str]:
    child = seen.get(candidate.revision)
    why = cause(child, observed.pods.get(candidate.revision, ())) if child else ""
    progress = f"version {candidate.version}: {candidate.ready_replicas or 0} of {observed.deployment.spec.replicas} pods answer"
    if child is not None and gave_up(child):
        # There is nothing to fall back to, so it is left to try on.
        return conditions.CANDIDATE_FAILED, f"{progress}: {why or 'it never answered'}; {serving}"
    return conditions.CANDIDATE_STARTING, progress + (f": {why}" if why else "") + f"; {serving}"


def _available(observed: Observed, stable: Revision | None) -> Condition:
    generation = observed.deployment.metadata.generation
    if stable is None:
        reason, message, answers = conditions.NO_STABLE, "no revision has been ready yet", False
    elif observed.deployment.spec.replicas == 0:
        reason, message, answers = conditions.NO_REPLICAS, "spec.replicas is 0", False
    else:
        answers = (stable.ready_replicas or 0) > 0
        reason = conditions.SERVING if answers else conditions.NOT_READY
        message = f"version {stable.version} answers on {stable.ready_replicas or 0} pods"
    return Condition(
        type=conditions.AVAILABLE,
        status="True" if answers else "False",
        reason=reason,
        message=message,
        observed_generation=generation,
    )


def _history(old: ModelDeploymentStatus, stable: Revision | None, now: datetime) -> tuple[Served, ...]:
    before = old.stable
    if before is None or stable is None or before.revision == stable.revision:
        return old.history
    entry = Served(
        revision=before.revision,
        version=before.version,
        digest=before.digest,
        image=before.image,
        since=before.since,
        until=_seconds(now),
    )
    return (entry, *old.history)[:10]


def _events(
    old: ModelDeploymentStatus,
    stable: Revision | None,
    candidate: Revision | None,
    held: Held | None,
    reason: str,
    message: str,
) -> tuple[Event, ...]:
    """One event for each thing that a person would want to be told, when it is new."""
    events = []
    if candidate and (old.candidate is None or old.candidate.revision != candidate.revision):
        events.append(
            Event("Normal", conditions.CANDIDATE_STARTING, f"version {candidate.version} starts as revision {candidate.revision}")
        )
    if stable and (old.stable is None or old.stable.revision != stable.revision):
        events.append(Event("Normal", conditions.SERVING, f"version {stable.version} took over as revision {stable.revision}"))
    if held and (old.held is None or old.held.revision != held.revision):
        events.append(Event("Warning", held.reason, f"version {held.version} is held: {held.message}"))
    ready = conditions.find(old.conditions, conditions.READY)
    known = ready is not None and ready.reason == reason
    if not known and conditions.REASONS[reason].polarity in ("waiting", "stalled") and not held:
        events.append(Event("Warning", reason, message))
    return tuple(events)
