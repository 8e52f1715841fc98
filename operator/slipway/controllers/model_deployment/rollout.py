"""Which revision serves, which one is on its way, how many pods each has, and which are no longer needed: a pure function
over recorded facts. What the candidate's next step is, says `slipway.controllers.model_deployment.program`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from slipway.api import conditions
from slipway.controllers.model_deployment import program as prog
from slipway.controllers.model_deployment.policy import broke_down, creation_time, gave_up, is_gone, is_ready
from slipway.controllers.model_deployment.program import Begin, Hold, Next, Program, Promote, Rollback, Wait
from slipway.kube.port import Object


@dataclass(frozen=True)
class Facts:
    wanted: str | None
    """Revision that spec asks for; None when something it refers to is missing."""
    stable: str | None
    """Revision that took over last, by status; it may be one whose Deployment is gone."""
    stable_since: datetime | None
    serving: str | None
    """Revision that the Service selects; None when it selects all."""
    held: str | None
    """Revision that was given up."""
    deployments: Mapping[str, Object]
    replicas: int = 1
    """Pods of a revision that has all requests."""
    program: Program = Program()  # noqa: RUF009  it is a frozen value
    candidate: prog.Facts | None = None
    """What is recorded of the candidate, when it is the wanted one; `ready` is worked out here."""
    previous: tuple[str, ...] = ()
    """Revisions that served before, newest first."""
    watch_failed: str | None = None
    """Why the stable revision is taken back after its promotion, with the reason `watch_reason`."""
    watch_reason: str = conditions.GATE_FAILED
    instead: str | None = None
    """Revision to make when there is no stable one and the wanted one is held."""


@dataclass(frozen=True)
class Rollout:
    """What shall be. `serve` is the revision that the Service selects, with `shared` both; `run` are the Deployments to keep
    or make with their numbers of pods, `retire` those to delete."""

    serve: str | None
    run: Mapping[str, int]
    retire: tuple[str, ...]
    stable: str | None
    candidate: str | None
    shared: bool = False
    weight: int = 0
    """Per cent of the requests that the candidate shall have."""
    routed: bool = False
    """A gateway gives it that, and not the number of its pods."""
    copied: bool = False
    """It gets copies of so many, and its answers are dropped."""
    step: int | None = None
    """Index of the step that the candidate is at."""
    step_ready: bool = False
    """All pods of that step are ready, and it has its weight."""
    next: Next | None = None
    """What was decided about the candidate."""
    promoted: bool = False
    """The candidate takes over in this very step."""
    gave_up: str | None = None
    """The revision that is given up in this very step, for `reason` and `message`."""
    reason: str = ""
    message: str = ""
    look_again: float | None = None
    """Seconds until time alone changes something."""


def next_rollout(facts: Facts, now: datetime) -> Rollout:
    """One step. The stable revision goes on serving until the wanted one has proved itself."""
    stable = _stable(facts)
    facts = replace(facts, stable=stable)
    given_up = _watch_rollback(facts)
    target = _target(facts, given_up)
    if target is None or target == stable:
        return _steady(facts, now)
    direct = given_up is not None or stable is None or _is_way_back(facts, target)
    plan = facts.program.at_once() if direct else facts.program
    decided = prog.next_step(plan, _candidate_facts(facts, plan, target, now), now)
    made = _after(replace(facts, held=given_up or facts.held), plan, target, decided, now)
    if given_up is not None:
        made = replace(made, gave_up=given_up, reason=facts.watch_reason, message=facts.watch_failed or "")
    return made


def _stable(facts: Facts) -> str | None:
    """By status; when that was lost, what the Service selects, as long as it is ready."""
    if facts.stable is not None:
        return facts.stable
    child = facts.deployments.get(facts.serving or "")
    return facts.serving if child is not None and is_ready(child) else None


def _watch_rollback(facts: Facts) -> str | None:
    """The stable revision, when it failed its watch and there is one to go back to."""
    back = facts.watch_failed is not None and facts.program.watch_rollback and _before(facts) is not None
    return facts.stable if back else None


def _before(facts: Facts) -> str | None:
    """The newest revision that served before the stable one and whose Deployment is still there."""
    spent = (facts.stable, facts.held)
    return next((name for name in facts.previous if name not in spent and name in facts.deployments), None)


def _target(facts: Facts, given_up: str | None) -> str | None:
    """The revision to go to: the wanted one, but for one that is held; then the one that serves, or the one before."""
    wanted = facts.wanted if facts.wanted is not None else facts.stable
    if wanted is None:
        return None
    if facts.stable is None and facts.held == wanted and facts.instead is not None:
        return facts.instead
    if wanted not in (facts.held, given_up) or facts.stable is None:
        return wanted
    return facts.stable if facts.stable != wanted else _before(facts) or facts.stable


def _is_way_back(facts: Facts, target: str) -> bool:
    """Whether `target` served before the stable one was made and still is there: it needs no proof, and there is no time."""
    old, young = facts.deployments.get(target), facts.deployments.get(facts.stable or "")
    if old is None or young is None or target not in facts.previous:
        return False
    made, later = creation_time(old), creation_time(young)
    return made is not None and later is not None and made <= later


def _candidate_facts(facts: Facts, plan: Program, target: str, now: datetime) -> prog.Facts:
    known = facts.candidate if facts.candidate is not None and facts.candidate.revision == target else None
    known = known or prog.Facts(revision=target, version=0, ready=False)
    child = facts.deployments.get(target)
    wanted = _replicas(facts, plan, known.step)
    ready = child is not None and is_ready(child, wanted)
    late = child is not None and facts.stable is not None and not ready and gave_up(child)
    if child is not None and known.step is not None and not ready:
        late = late or broke_down(child, now)
    # Too many stable pods are left for a candidate that has to be alone.
    if plan.recreate and not _stable_has_ended(facts):
        ready = late = False
    return replace(known, ready=ready, deadline_passed=(known.deadline_passed or "it never answered") if late else None)


def _stable_has_ended(facts: Facts) -> bool:
    child = facts.deployments.get(facts.stable or "")
    return child is None or is_gone(child)


def _replicas(facts: Facts, plan: Program, step: int | None) -> int:
    """Pods of the candidate at a step."""
    index = 0 if step is None else step
    if index >= len(plan.steps):
        return facts.replicas
    pods = prog.candidate_replicas if plan.by_pods else prog.share_replicas
    return pods(facts.replicas, plan.steps[index].weight)


def _after(facts: Facts, plan: Program, target: str, decided: Next, now: datetime) -> Rollout:
    """What shall be after the decision about `target`."""
    stable = facts.stable
    step = facts.candidate.step if facts.candidate and facts.candidate.revision == target else None
    match decided:
        case Promote():
            made = _lay_out(replace(facts, stable=target, stable_since=now), {target: facts.replicas}, now, before=stable)
            return replace(made, stable=target, next=decided, promoted=True)
        case Rollback(reason, message):
            made = _lay_out(facts, {stable: facts.replicas} if stable else {}, now, drop=target)
            return replace(made, next=decided, gave_up=target, reason=reason, message=message)
        case Begin(index):
            return _on_the_way(facts, plan, target, decided, index, now)
        case Hold() | Wait():
            return _on_the_way(facts, plan, target, decided, step, now)


def _on_the_way(facts: Facts, plan: Program, target: str, decided: Next, step: int | None, now: datetime) -> Rollout:
    stable = facts.stable
    run = {stable: facts.replicas} if stable is not None else {}
    run[target] = _replicas(facts, plan, step)
    if plan.recreate and stable is not None:
        run[stable] = 0
        if not _stable_has_ended(facts):
            run[target] = 0
    # Beside one Service the weight is the number of pods, so nothing else may be there that it would select.
    made = _lay_out(facts, run, now, alone=bool(plan.steps) and plan.by_pods)
    waits = [made.look_again, decided.until if isinstance(decided, Hold) else None]
    child = facts.deployments.get(target)
    ready = child is not None and is_ready(child, run[target])
    weight, in_force = _weight(facts, plan, step, ready=ready, alone=set(facts.deployments) <= set(run))
    return replace(
        made,
        candidate=target,
        serve=stable if stable is not None else target,
        shared=weight > 0 and plan.by_pods,
        copied=plan.shadow and bool(plan.steps),
        weight=weight,
        routed=plan.routed,
        step=step,
        step_ready=weight > 0 and ready and in_force,
        next=decided,
        look_again=min((wait for wait in waits if wait is not None), default=None),
    )


def _weight(facts: Facts, plan: Program, step: int | None, *, ready: bool, alone: bool) -> tuple[int, bool]:
    """Per cent that the candidate shall have, and whether it has them as far as is known."""
    if step is None or not plan.steps:
        return 0, False
    weight = plan.steps[min(step, len(plan.steps) - 1)].weight
    if plan.by_pods:
        return (weight if alone else 0), True
    known = facts.candidate
    if not ready:
        # Pods first, then requests for them.
        weight = min(weight, known.weight if known is not None else 0)
    return weight, plan.shadow or (known is not None and known.routed == weight)


def _steady(facts: Facts, now: datetime) -> Rollout:
    return _lay_out(facts, {facts.stable: facts.replicas} if facts.stable is not None else {}, now)


def _lay_out(
    facts: Facts,
    run: Mapping[str, int],
    now: datetime,
    *,
    before: str | None = None,
    drop: str | None = None,
    alone: bool = False,
) -> Rollout:
    """`run`, and of the others those that are kept for a while: ready to take over again, or without pods while a watch may
    still bring them back. `before` has just stopped serving; `drop` goes at once; with `alone` none is kept for long."""
    kept: dict[str, int] = {}
    waits: list[float] = []
    since = facts.stable_since or now - timedelta(days=1)
    newest = before or _before(facts)
    for name in sorted(facts.deployments):
        if name in run or name == drop:
            continue
        spare = alone or name != newest or name == facts.held
        warm = prog.SETTLE_SECONDS if spare else facts.program.warm_seconds
        watched = 0.0 if spare or not facts.program.watch_rollback else facts.program.watch_seconds
        left = (since + timedelta(seconds=warm) - now).total_seconds()
        kept_cold = (since + timedelta(seconds=watched) - now).total_seconds()
        served = name == newest or name in facts.previous or is_ready(facts.deployments[name])
        if left > 0 and served and not facts.program.recreate:
            kept[name] = facts.replicas
            waits.append(left)
        elif kept_cold > 0:
            kept[name] = 0
            waits.append(kept_cold)
    retire = tuple(name for name in sorted(facts.deployments) if name not in run and name not in kept)
    return Rollout(
        serve=facts.stable,
        run={**run, **kept},
        retire=retire,
        stable=facts.stable,
        candidate=None,
        look_again=min(waits, default=None),
    )
