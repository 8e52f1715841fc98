"""What a ModelDeployment's status says after a reconcile. Pure; its words are in `words`, its events in `news`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from slipway.api import conditions
from slipway.api.conditions import Condition
from slipway.api.model_deployment import Held, ModelDeploymentStatus, Revision, Served
from slipway.api.rollout import StepApproval
from slipway.controllers.model_deployment.children import url
from slipway.controllers.model_deployment.news import events
from slipway.controllers.model_deployment.observed import Observed
from slipway.controllers.model_deployment.past import history_of
from slipway.controllers.model_deployment.plan import Decision
from slipway.controllers.model_deployment.policy import creation_time, ready_replicas, revision_of
from slipway.controllers.model_deployment.program import Begin, Promote
from slipway.controllers.model_deployment.words import Shown, reason_of
from slipway.controllers.shared.conditions import of_reason
from slipway.kube.port import Object
from slipway.reconcile.contract import Applied, StatusUpdate


def status(observed: Observed, applied: Applied[Decision], now: datetime) -> StatusUpdate:
    """The whole status as it shall be."""
    deployment, decision = observed.deployment, applied.decision
    old = deployment.status or ModelDeploymentStatus()
    seen = {revision_of(child): child for child in (*observed.deployments, *_deployments(applied))}
    stable = _stable(observed, decision, old, seen, now)
    candidate = _candidate(observed, decision, old, seen, now)
    held = _held(observed, decision, old, now)
    shown = Shown(observed, decision, stable, candidate, held, seen)
    reason, message = reason_of(shown)
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
        history=_history(old, stable, held, now) or _remembered(observed, old),
    )
    return StatusUpdate(new.to_dict(), events(old, new, reason, message, copies=decision.program.shadow))


def _deployments(applied: Applied[Decision]) -> tuple[Object, ...]:
    return tuple(child for child in applied.children if child["kind"] == "Deployment")


def _seconds(time: datetime) -> datetime:
    return time.replace(microsecond=0)


def _stable(
    observed: Observed, decision: Decision, old: ModelDeploymentStatus, seen: Mapping[str, Object], now: datetime
) -> Revision | None:
    name = decision.rollout.stable
    if name is None:
        return None
    child = seen.get(name)
    ready = ready_replicas(child) if child else 0
    if old.stable is None or old.stable.revision != name:
        return _new_stable(observed, decision, old, name, ready, now)
    version, result = observed.version, decision.judgement
    watched = decision.subject is not None and decision.subject.watched
    # What is left of a watch that is over is what failed in it.
    left = tuple(verdict for verdict in old.stable.gates if verdict.verdict == "Fail")
    kept = {
        "ready_replicas": ready,
        # The same bytes may come under another number: a build that was forced, an alias moved to an equal version.
        "version": version.version if version and decision.wanted == name else old.stable.version,
        "gates": result.verdicts if watched else () if decision.rollout.candidate else left,
        "marks": result.marks if watched else result.stable_marks,
    }
    return old.stable.model_copy(update=kept)


def _new_stable(
    observed: Observed, decision: Decision, old: ModelDeploymentStatus, name: str, ready: int, now: datetime
) -> Revision | None:
    """The revision that takes over in this step. A watch begins with the counters that the candidate's gates had."""
    known = _entry(observed, decision, old, name)
    if known is None:
        return None
    watch = bool(decision.program.watch_gates) and old.candidate is not None and old.candidate.revision == name
    marks = old.candidate.marks if watch and old.candidate is not None else ()
    return known.model_copy(update={"ready_replicas": ready, "since": _seconds(now), "marks": marks})


def _entry(observed: Observed, decision: Decision, old: ModelDeploymentStatus, name: str) -> Revision | None:
    """What a revision is made of: by spec, else as status remembers it."""
    if observed.version is not None and decision.wanted == name:
        version = observed.version
        return Revision(revision=name, version=version.version, digest=version.digest, image=observed.image or "")
    known = (old.candidate, old.stable, *old.history, *_remembered(observed, old))
    found = next((entry for entry in known if entry is not None and entry.revision == name), None)
    return Revision(revision=name, version=found.version, digest=found.digest, image=found.image) if found else None


def _remembered(observed: Observed, old: ModelDeploymentStatus) -> tuple[Served, ...]:
    """What the registry knows to have served, for a status that was lost."""
    return history_of(observed.past.records) if observed.past is not None and not old.history else ()


def _candidate(
    observed: Observed, decision: Decision, old: ModelDeploymentStatus, seen: Mapping[str, Object], now: datetime
) -> Revision | None:
    rollout = decision.rollout
    name = rollout.candidate
    known = _entry(observed, decision, old, name) if name is not None else None
    if known is None or name is None:
        return None
    child = seen.get(name)
    before = old.candidate if old.candidate and old.candidate.revision == name else None
    since = before.since if before else None
    same_step = before is not None and before.step == rollout.step
    step_since = before.step_since if before is not None and same_step else None
    judged = before is not None and decision.subject is not None and not decision.subject.watched
    return known.model_copy(
        update={
            "ready_replicas": ready_replicas(child) if child else 0,
            "since": since or (creation_time(child) if child and before is None else None) or _seconds(now),
            "weight": rollout.weight if rollout.weight or rollout.step is not None else None,
            "step": rollout.step,
            "step_since": step_since or (_seconds(now) if rollout.step_ready else None),
            "approvals": _approvals(decision, before),
            "gates": decision.judgement.verdicts if judged else (),
            "marks": decision.judgement.marks if judged else (),
        }
    )


def _approvals(decision: Decision, before: Revision | None) -> tuple[StepApproval, ...]:
    known = before.approvals if before is not None else ()
    step = decision.rollout.next
    fresh = step.approved if isinstance(step, (Begin, Promote)) else None
    return known if fresh is None or fresh in known else (*known, fresh)


def _held(observed: Observed, decision: Decision, old: ModelDeploymentStatus, now: datetime) -> Held | None:
    """Remembered by revision for as long as the same spec asks for it, or what it asks for cannot be told."""
    rollout, kept = decision.rollout, old.held
    if rollout.gave_up is not None:
        return _given_up(observed, decision, old, rollout.gave_up, rollout.reason, rollout.message, now)
    held = decision.held
    if kept is None and held is not None:
        return _given_up(observed, decision, old, held.revision, held.reason, held.message, held.since or now)
    if kept is None or held is None:
        return None
    if rollout.stable == kept.revision and rollout.candidate is None:
        return None
    return kept if decision.wanted in (kept.revision, None) else None


def _given_up(
    observed: Observed, decision: Decision, old: ModelDeploymentStatus, name: str, reason: str, message: str, now: datetime
) -> Held | None:
    known = _entry(observed, decision, old, name)
    if known is None:
        return None
    return Held(revision=name, version=known.version, digest=known.digest, reason=reason, message=message, since=_seconds(now))


def _available(observed: Observed, stable: Revision | None) -> Condition:
    generation = observed.deployment.metadata.generation
    if stable is None:
        reason, message, answers = conditions.NO_STABLE, "no revision has been ready yet", False
    elif observed.deployment.spec.replicas == 0 and observed.deployment.spec.autoscaling is None:
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


def _history(old: ModelDeploymentStatus, stable: Revision | None, held: Held | None, now: datetime) -> tuple[Served, ...]:
    before = old.stable
    if before is None or stable is None or before.revision == stable.revision:
        return old.history
    given_up = held if held is not None and held.revision == before.revision else None
    entry = Served(
        revision=before.revision,
        version=before.version,
        digest=before.digest,
        image=before.image,
        since=before.since,
        until=_seconds(now),
        reason=given_up.reason if given_up else None,
    )
    return (entry, *old.history)[:10]
