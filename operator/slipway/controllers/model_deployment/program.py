"""A roll-out as a small program over recorded facts: what the candidate's next step is. Pure, and a table in the tests."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from slipway.api import conditions
from slipway.api.common import Approval
from slipway.api.model_deployment import ModelDeployment
from slipway.api.rollout import Order, RolloutGate, RolloutSpec, StepApproval, seconds_of

SETTLE_SECONDS = 5
"""How long the revision that served before stays after a switch at least: every proxy knows the new one by then."""
TOLERANCE = 0.01
"""By how much numbers in answers may differ and still agree, unless spec says otherwise."""


@dataclass(frozen=True)
class Step:
    weight: int
    hold: float


@dataclass(frozen=True)
class Program:
    """What `spec.rollout` says, worked out. `manual` are the indices of steps that wait for a person; the number of steps
    stands for the promotion."""

    steps: tuple[Step, ...] = ()
    manual: frozenset[int] = frozenset()
    gates: tuple[RolloutGate, ...] = ()
    interval: float = 10.0
    watch_seconds: float = 0.0
    watch_gates: tuple[RolloutGate, ...] = ()
    watch_rollback: bool = False
    warm_seconds: float = SETTLE_SECONDS
    recreate: bool = False
    exact: bool = False
    """Weights are set by a gateway, and not by numbers of pods."""

    shadow: bool = False
    """The candidate gets copies of so many requests, and no user its answers."""
    tolerance: float = TOLERANCE
    """By how much numbers in answers may differ and still agree."""

    @property
    def by_pods(self) -> bool:
        """Whether the weight is the number of pods behind one Service."""
        return not self.exact and not self.shadow

    @property
    def routed(self) -> bool:
        """Whether a gateway has to split requests on the way."""
        return self.exact and not self.shadow and bool(self.steps)

    def at_once(self) -> Program:
        """The same without steps: for a way back to what served before, or when there is nothing to protect."""
        return replace(self, steps=(), manual=frozenset(), gates=())


def program_of(spec: RolloutSpec | None, *, exact: bool = False) -> Program:
    """The program of `spec`; without one, the candidate takes over when all its pods are ready."""
    if spec is None:
        return Program()
    steps = tuple(Step(step.weight, seconds_of(step.hold)) for step in spec.steps)
    manual = frozenset(index for index, step in enumerate(spec.steps) if step.approval == "Manual")
    if spec.approval == "Manual" and not manual:
        manual = frozenset({0})
    watch = spec.watch
    return Program(
        steps=steps,
        manual=manual,
        gates=spec.gates,
        interval=min(600, max(5, seconds_of(spec.interval))),
        watch_seconds=seconds_of(watch.for_) if watch else 0.0,
        watch_gates=(watch.gates or _after_promotion(spec.gates)) if watch else (),
        watch_rollback=watch.rollback if watch else False,
        warm_seconds=max(SETTLE_SECONDS, seconds_of(spec.rollback_window)),
        recreate=spec.strategy == "Recreate",
        exact=exact,
        shadow=spec.strategy == "Shadow",
        tolerance=TOLERANCE if spec.shadow is None or spec.shadow.tolerance is None else spec.shadow.tolerance,
    )


def _after_promotion(gates: tuple[RolloutGate, ...]) -> tuple[RolloutGate, ...]:
    """Gates that look at one revision alone."""
    return tuple(gate.model_copy(update={"compare": None}) for gate in gates if gate.agreement is None)


def program_for(deployment: ModelDeployment) -> Program:
    """The program of a resource."""
    traffic = deployment.spec.traffic
    return program_of(deployment.spec.rollout, exact=traffic is not None and traffic.gateway is not None)


def share_replicas(replicas: int, weight: int) -> int:
    """Pods of a candidate that gets exactly `weight` per cent of the requests: as many as carry that share of what `replicas`
    carry, rounded up."""
    return math.ceil(replicas * weight / 100)


def candidate_replicas(replicas: int, weight: int) -> int:
    """Pods of the candidate that give it at most `weight` per cent of the requests beside `replicas` stable ones, which all
    stay so that they can carry everything again at once; but at least one, and as many as the stable revision at most."""
    if replicas == 0:
        return 0
    if weight >= 100:
        return replicas
    return min(replicas, max(1, math.floor(replicas * weight / (100 - weight))))


@dataclass(frozen=True)
class Facts:
    """What is known of the candidate. `step` None: before the first step. `step_since`: since when the step's pods are all
    ready; None while they are not."""

    revision: str
    version: int
    ready: bool
    """The pods of the present step, or of the first one, are all ready."""
    step: int | None = None
    step_since: datetime | None = None
    weight: int = 0
    """Per cent of the requests that it was given last."""
    routed: int | None = None
    """Per cent that gateways give it now; None while they do not know it, or have not taken the newest weights."""
    unroutable: tuple[str, str] | None = None
    """Reason and message of why gateways do not split requests."""
    deadline_passed: str | None = None
    """Why the pods did not become ready in time."""
    failed_gate: str | None = None
    broke_off: str | None = None
    """Why one of its containers ended at this step, though all be ready again."""
    blocked_by: str | None = None
    """A gate without data that holds the roll-out up."""
    frozen: str | None = None
    """Why nothing may begin now: the store does not answer."""
    order: Order | None = None
    """What a person wants of this very try."""
    approval: Approval | None = None
    approvals: tuple[StepApproval, ...] = ()


@dataclass(frozen=True)
class Hold:
    """Nothing changes. `reason` is the condition's; `until` in seconds from now, when time alone ends it."""

    reason: str
    message: str
    until: float | None = None


@dataclass(frozen=True)
class Begin:
    """The step of this index begins."""

    step: int
    approved: StepApproval | None = None


@dataclass(frozen=True)
class Promote:
    approved: StepApproval | None = None


@dataclass(frozen=True)
class Rollback:
    reason: str
    message: str


@dataclass(frozen=True)
class Wait:
    """A person has to let step `step` begin."""

    step: int
    message: str


Next = Hold | Begin | Promote | Rollback | Wait


def next_step(program: Program, facts: Facts, now: datetime) -> Next:
    """The one next step. What takes the candidate back comes first, then what holds it up, then what lets it go on."""
    order = facts.order
    if order is not None and order.action == "abort":
        return Rollback(
            conditions.ABORTED, f"aborted by {order.by or 'somebody'}" + (f": {order.reason}" if order.reason else "")
        )
    if facts.failed_gate is not None:
        return Rollback(conditions.GATE_FAILED, facts.failed_gate)
    if facts.broke_off is not None:
        return Rollback(conditions.CANDIDATE_FAILED, facts.broke_off)
    if facts.frozen is not None:
        return Hold(conditions.STORE_UNAVAILABLE, facts.frozen)
    if facts.deadline_passed is not None:
        return Rollback(conditions.CANDIDATE_FAILED, facts.deadline_passed)
    if not facts.ready:
        return Hold(conditions.CANDIDATE_STARTING, "")
    if order is not None and order.action == "pause":
        by = f" by {order.by}" if order.by else ""
        return Hold(conditions.ROLLOUT_PAUSED, f"paused{by}" + (f": {order.reason}" if order.reason else ""))
    skip = order is not None and order.action == "promote" and order.step in (None, _following(facts))
    if not skip and (held := _held_up(program, facts, now)) is not None:
        return held
    return _go_on(program, facts, order if skip else None, now)


def _following(facts: Facts) -> int:
    return 0 if facts.step is None else facts.step + 1


def _held_up(program: Program, facts: Facts, now: datetime) -> Hold | None:
    if facts.step is not None and facts.step >= len(program.steps):
        # The gates have had their say; what is left is that the pods become ready.
        return None
    if program.routed and facts.unroutable is not None:
        return Hold(*facts.unroutable)
    if facts.step is None:
        waits = program.routed and facts.routed is None
        return Hold(conditions.ROUTE_PENDING, "the gateway does not know its pods yet") if waits else None
    if facts.step_since is None:
        return Hold(conditions.CANDIDATE_PROGRESSING, "")
    left = (facts.step_since + timedelta(seconds=program.steps[facts.step].hold) - now).total_seconds()
    if left > 0:
        return Hold(conditions.CANDIDATE_PROGRESSING, "", until=left)
    if facts.blocked_by is not None:
        return Hold(conditions.CANDIDATE_PROGRESSING, f"held up: {facts.blocked_by}")
    return None


def _go_on(program: Program, facts: Facts, order: Order | None, now: datetime) -> Next:
    if facts.step is not None and facts.step >= len(program.steps):
        return Promote()
    following = len(program.steps) if order is not None and order.step is None else _following(facts)
    approved: StepApproval | None = None
    if following in program.manual or order is not None:
        approved = _approved(facts, following, order, now)
        if approved is None:
            return Wait(following, "")
    if following < len(program.steps) or program.steps:
        # The promotion itself begins as a step without weight of its own: all pods first, then all requests.
        return Begin(following, approved)
    return Promote(approved)


def _approved(facts: Facts, step: int, order: Order | None, now: datetime) -> StepApproval | None:
    at = now.replace(microsecond=0)
    if order is not None:
        return StepApproval(step=step, by=order.by[:253], reason=(order.reason or "promoted")[:1024], at=at)
    for known in facts.approvals:
        if known.step == step:
            return known
    said = facts.approval
    if said is not None and said.version == facts.version and said.step in (None, step):
        return StepApproval(step=step, by=said.by[:253], reason=said.reason[:1024], at=at)
    return None
