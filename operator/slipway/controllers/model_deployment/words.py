"""The reason of a ModelDeployment's Ready condition, and its message for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from slipway.api import conditions
from slipway.api.model_deployment import Held, Revision
from slipway.controllers.model_deployment.observed import Observed
from slipway.controllers.model_deployment.plan import Decision
from slipway.controllers.model_deployment.policy import cause, gave_up
from slipway.controllers.model_deployment.program import Begin, Hold, Wait
from slipway.controllers.model_deployment.scaling import full_replicas
from slipway.kube.port import Object

UNROUTED = (conditions.ROUTE_PENDING, conditions.GATEWAY_MISSING, conditions.ROUTE_REFUSED, conditions.NAME_TAKEN)
"""Reasons for which a candidate gets no requests through a gateway."""


@dataclass(frozen=True)
class Shown:
    """What status is about to show."""

    observed: Observed
    decision: Decision
    stable: Revision | None
    candidate: Revision | None
    held: Held | None
    seen: Mapping[str, Object]
    """Deployments by revision, as they are after this step."""


def reason_of(shown: Shown) -> tuple[str, str]:
    """Reason and message. They change only when something changes: no ages, no seconds that are left."""
    observed, stable, candidate, held = shown.observed, shown.stable, shown.candidate, shown.held
    serving = f"version {stable.version} serves on" if stable else "nothing is served yet"
    if observed.missing is not None:
        return observed.missing.reason, f"{observed.missing.message}; {serving}"
    if observed.unreachable is not None and held is None:
        return conditions.STORE_UNAVAILABLE, f"the roll-out stands still: {observed.unreachable}; {serving}"
    if held is not None and candidate is not None:
        return conditions.ROLLING_BACK, f"version {held.version} is given up: {held.message}; back to version {candidate.version}"
    if held is not None:
        return held.reason, f"version {held.version} is held: {held.message}; {serving}"
    if candidate is not None:
        return _on_the_way(shown, candidate, serving)
    return _steady(shown, stable)


def _steady(shown: Shown, stable: Revision | None) -> tuple[str, str]:
    observed = shown.observed
    child = shown.seen.get(stable.revision) if stable else None
    replicas = full_replicas(observed.deployment, child)
    if replicas == 0:
        return conditions.NO_REPLICAS, "spec.replicas is 0: nothing is served"
    ready = (stable.ready_replicas or 0) if stable else 0
    number = stable.version if stable else 0
    if ready < replicas:
        why = cause(child, observed.pods.get(stable.revision, ())) if child and stable else ""
        return conditions.NOT_READY, f"version {number}: {ready} of {replicas} pods answer" + (f": {why}" if why else "")
    route = shown.decision.route
    if route is not None and route.problem is not None:
        return route.problem.reason, f"{route.problem.message}; version {number} serves on {ready} of {replicas} pods"
    failed = [verdict for verdict in stable.gates if verdict.verdict == "Fail"] if stable else []
    if failed:
        words = "; ".join(f"gate {verdict.name}: {verdict.message}" for verdict in failed)
        return conditions.WATCH_FAILED, f"version {number} serves, but {words}; slipway rollback takes it back"
    watched = shown.decision.subject is not None and shown.decision.subject.watched and stable is not None and stable.since
    until = (
        stable.since + timedelta(seconds=shown.decision.program.watch_seconds) if watched and stable and stable.since else None
    )
    words = f"; watched until {_clock(until)}" if until else ""
    return conditions.SERVING, f"version {number} serves on {ready} of {replicas} pods{words}"


def _clock(time: datetime) -> str:
    return time.strftime("%H:%M:%SZ")


def _on_the_way(shown: Shown, candidate: Revision, serving: str) -> tuple[str, str]:
    decided = shown.decision.rollout.next
    name = shown.observed.deployment.metadata.name
    progress = _progress(shown, candidate)
    if isinstance(decided, Wait):
        step = _step(shown, decided.step)
        return conditions.WAITING_FOR_APPROVAL, f"{progress}; {step} begins with: slipway approve {name}; {serving}"
    if isinstance(decided, Hold) and decided.reason == conditions.ROLLOUT_PAUSED:
        return decided.reason, f"{progress}; {decided.message}; slipway rollout resume {name} goes on; {serving}"
    if isinstance(decided, Hold) and decided.reason in UNROUTED:
        return decided.reason, f"{progress}; {decided.message}; {serving}"
    if candidate.step is None or (isinstance(decided, Hold) and decided.reason == conditions.CANDIDATE_STARTING):
        return _starting(shown, candidate, serving)
    held_up = f"; {decided.message}" if isinstance(decided, Hold) and decided.message else ""
    if isinstance(decided, Begin):
        progress = f"version {candidate.version}: {_step(shown, decided.step)} begins"
    return conditions.CANDIDATE_PROGRESSING, f"{progress}{held_up}; {serving}"


def _step(shown: Shown, index: int) -> str:
    steps = shown.decision.program.steps
    if index >= len(steps):
        return "the promotion"
    share = f"copies of {steps[index].weight} %" if shown.decision.program.shadow else f"{steps[index].weight} %"
    return f"step {index + 1} of {len(steps)} ({share})"


def _progress(shown: Shown, candidate: Revision) -> str:
    head = f"version {candidate.version}"
    if candidate.step is None:
        return f"{head}: {candidate.ready_replicas or 0} pods answer"
    steps = shown.decision.program.steps
    words = f"{head}: {_step(shown, candidate.step)}"
    if candidate.step < len(steps) and candidate.step_since is not None:
        words += f" until {_clock(candidate.step_since + timedelta(seconds=steps[candidate.step].hold))}"
    return words + _share(shown, candidate)


def _share(shown: Shown, candidate: Revision) -> str:
    """The share that so many pods give, where it is not the one that was asked for."""
    run, stable = shown.decision.rollout.run, shown.decision.rollout.stable
    if not shown.decision.rollout.shared or stable is None or not candidate.weight:
        return ""
    pods, others = run.get(candidate.revision, 0), run.get(stable, 0)
    share = round(100 * pods / (pods + others)) if pods + others else 0
    if abs(share - candidate.weight) <= 1 or candidate.weight >= 100:
        return ""
    return f", {pods} of {pods + others} pods: about {share} % of the requests"


def _starting(shown: Shown, candidate: Revision, serving: str) -> tuple[str, str]:
    observed = shown.observed
    child = shown.seen.get(candidate.revision)
    why = cause(child, observed.pods.get(candidate.revision, ())) if child else ""
    wanted = shown.decision.rollout.run.get(candidate.revision, observed.deployment.spec.replicas)
    progress = f"version {candidate.version}: {candidate.ready_replicas or 0} of {wanted} pods answer"
    if child is not None and gave_up(child):
        # There is nothing to fall back to, so it is left to try on.
        return conditions.CANDIDATE_FAILED, f"{progress}: {why or 'it never answered'}; {serving}"
    return conditions.CANDIDATE_STARTING, progress + (f": {why}" if why else "") + f"; {serving}"
