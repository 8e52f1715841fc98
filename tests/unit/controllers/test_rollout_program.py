"""The next step of a roll-out as a table: given what is recorded, what shall be done."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from slipway.api.common import Approval
from slipway.api.rollout import Order, RolloutSpec, StepApproval
from slipway.controllers.model_deployment.program import (
    Begin,
    Facts,
    Hold,
    Next,
    Program,
    Promote,
    Rollback,
    Step,
    Wait,
    candidate_replicas,
    next_step,
    program_of,
    share_replicas,
)

NOW = datetime(2026, 11, 3, 12, 0, 0, tzinfo=UTC)
CANARY = Program(steps=(Step(5, 60), Step(50, 60)))
MANUAL = Program(steps=(Step(5, 0), Step(50, 0)), manual=frozenset({1, 2}))
EXACT = replace(CANARY, exact=True)
GONE = ("GatewayMissing", "there is none")
READY = Facts(revision="r2", version=2, ready=True)


def at(step: int, seconds: float, **more: Any) -> Facts:
    """At a step whose pods have been ready for so long."""
    return replace(READY, step=step, step_since=NOW - timedelta(seconds=seconds), **more)


def order(action: str, step: int | None = None) -> Order:
    return Order.model_validate({"action": action, "revision": "r2", "by": "ann", "reason": "why not", "step": step})


def said(decision: Next) -> str:
    match decision:
        case Begin(step):
            return f"step {step}"
        case Hold(reason):
            return f"hold {reason}"
        case Promote():
            return "promote"
        case Rollback(reason):
            return f"rollback {reason}"
        case Wait(step):
            return f"wait {step}"


TABLE: list[tuple[str, Program, Facts, str]] = [
    ("pods not ready", CANARY, replace(READY, ready=False), "hold CandidateStarting"),
    ("pods ready for the first time", CANARY, READY, "step 0"),
    ("no steps, pods ready", Program(), READY, "promote"),
    ("no steps, pods not ready", Program(), replace(READY, ready=False), "hold CandidateStarting"),
    ("too late", CANARY, replace(READY, ready=False, deadline_passed="slow"), "rollback CandidateFailed"),
    ("in the middle of a hold", CANARY, at(0, 30), "hold CandidateProgressing"),
    ("the pods of the step are not all ready", CANARY, replace(READY, step=0), "hold CandidateProgressing"),
    ("the hold is over", CANARY, at(0, 60), "step 1"),
    ("the last hold is over", CANARY, at(1, 60), "step 2"),
    ("all pods for the promotion are ready", CANARY, at(2, 0), "promote"),
    ("all pods for the promotion are not ready", CANARY, replace(at(2, 0), ready=False), "hold CandidateStarting"),
    ("a gate failed in a hold", CANARY, at(0, 1, failed_gate="errors"), "rollback GateFailed"),
    ("a gate failed just before the promotion", CANARY, at(2, 0, failed_gate="errors"), "rollback GateFailed"),
    ("a gate without data after the hold", CANARY, at(0, 99, blocked_by="no data"), "hold CandidateProgressing"),
    ("a gate without data within the hold", CANARY, at(0, 9, blocked_by="no data"), "hold CandidateProgressing"),
    ("a container ended in a hold", CANARY, at(0, 1, broke_off="out of memory"), "rollback CandidateFailed"),
    ("a container ended, without the store", CANARY, at(0, 1, broke_off="oom", frozen="away"), "rollback CandidateFailed"),
    (
        "a container ended, and it is to go on",
        CANARY,
        at(0, 99, broke_off="x", order=order("promote")),
        "rollback CandidateFailed",
    ),
    ("aborted", CANARY, at(0, 30, order=order("abort")), "rollback Aborted"),
    ("aborted before it is ready", CANARY, replace(READY, ready=False, order=order("abort")), "rollback Aborted"),
    ("paused", CANARY, at(0, 99, order=order("pause")), "hold RolloutPaused"),
    ("paused before the first step", CANARY, replace(READY, order=order("pause")), "hold RolloutPaused"),
    ("paused, and a gate fails", CANARY, at(0, 99, order=order("pause"), failed_gate="errors"), "rollback GateFailed"),
    ("resumed", CANARY, at(0, 99, order=order("resume")), "step 1"),
    ("promoted by a person", CANARY, at(0, 1, order=order("promote")), "step 2"),
    ("the next step by a person", CANARY, at(0, 1, order=order("promote", 1)), "step 1"),
    ("the next step by a person was let begin already", CANARY, at(1, 1, order=order("promote", 1)), "hold CandidateProgressing"),
    ("promoted though a gate has no data", CANARY, at(0, 1, order=order("promote"), blocked_by="x"), "step 2"),
    ("not promoted over a failed gate", CANARY, at(0, 1, order=order("promote"), failed_gate="x"), "rollback GateFailed"),
    ("the first step needs nobody", MANUAL, READY, "step 0"),
    ("the second step waits for a person", MANUAL, at(0, 1), "wait 1"),
    ("the promotion waits for a person", MANUAL, at(1, 1), "wait 2"),
    ("approved", MANUAL, at(0, 1, approval=Approval(version=2, by="ann", step=1)), "step 1"),
    ("approved for all", MANUAL, at(1, 1, approval=Approval(version=2, by="ann")), "step 2"),
    ("another version is approved", MANUAL, at(0, 1, approval=Approval(version=1, by="ann")), "wait 1"),
    ("another step is approved", MANUAL, at(0, 1, approval=Approval(version=2, by="ann", step=2)), "wait 1"),
    ("approved and recorded", MANUAL, at(0, 1, approvals=(StepApproval(step=1, by="ann"),)), "step 1"),
    ("blue-green that waits", Program(manual=frozenset({0})), READY, "wait 0"),
    ("blue-green approved", Program(manual=frozenset({0})), replace(READY, approval=Approval(version=2)), "promote"),
    ("the gateway does not know the candidate", EXACT, READY, "hold RoutePending"),
    ("the gateway knows it at nothing", EXACT, replace(READY, routed=0), "step 0"),
    ("the gateway is missing", EXACT, replace(READY, unroutable=GONE), "hold GatewayMissing"),
    ("the gateway goes away in a hold", EXACT, at(0, 99, routed=None, unroutable=GONE), "hold GatewayMissing"),
    ("the gateway goes away, and a gate fails", EXACT, at(0, 9, unroutable=GONE, failed_gate="e"), "rollback GateFailed"),
    ("the gateway is missing for a shadow", replace(EXACT, shadow=True), replace(READY, unroutable=GONE), "step 0"),
    ("the gateway is missing for blue-green", Program(exact=True), replace(READY, unroutable=GONE), "promote"),
    ("fewer steps than before", CANARY, at(7, 0), "promote"),
]


@pytest.mark.parametrize(("case", "program", "facts", "wanted"), TABLE, ids=[row[0] for row in TABLE])
def test_next_step(case: str, program: Program, facts: Facts, wanted: str) -> None:
    assert said(next_step(program, facts, NOW)) == wanted


def test_a_hold_tells_when_time_alone_ends_it() -> None:
    held = next_step(CANARY, at(0, 45), NOW)
    assert isinstance(held, Hold)
    assert held.until == 15.0


def test_who_approved_and_why_is_kept() -> None:
    begun = next_step(MANUAL, at(0, 1, approval=Approval(version=2, by="ann", reason="looks fine", step=1)), NOW)
    assert isinstance(begun, Begin)
    assert begun.approved == StepApproval(step=1, by="ann", reason="looks fine", at=NOW)


@pytest.mark.parametrize(
    ("replicas", "weight", "pods"),
    [(0, 5, 0), (1, 1, 1), (1, 50, 1), (2, 5, 1), (3, 25, 1), (4, 20, 1), (10, 10, 1), (19, 5, 1), (10, 50, 10), (10, 99, 10)],
)
def test_pods_for_a_weight(replicas: int, weight: int, pods: int) -> None:
    assert candidate_replicas(replicas, weight) == pods


@pytest.mark.parametrize(
    ("replicas", "weight", "pods"), [(0, 5, 0), (1, 1, 1), (2, 5, 1), (2, 25, 1), (2, 51, 2), (10, 25, 3), (10, 100, 10)]
)
def test_pods_for_an_exact_share(replicas: int, weight: int, pods: int) -> None:
    assert share_replicas(replicas, weight) == pods


def test_a_shadow_is_judged_by_agreement_and_watched_without() -> None:
    spec = {
        "strategy": "Shadow",
        "steps": [{"weight": 100}],
        "shadow": {"tolerance": 0.2},
        "gates": [{"name": "a", "agreement": {"min": 0.9}}, {"name": "e", "errorRate": {"max": 0}}],
        "watch": {"for": "5m"},
    }
    program = program_of(RolloutSpec.model_validate(spec), exact=True)
    assert (program.shadow, program.routed, program.by_pods, program.tolerance) == (True, False, False, 0.2)
    assert [gate.name for gate in program.watch_gates] == ["e"]


def test_a_spec_becomes_a_program() -> None:
    spec = RolloutSpec.model_validate(
        {
            "steps": [{"weight": 5, "hold": "1m"}, {"weight": 50, "hold": "1h30m", "approval": "Manual"}],
            "gates": [{"name": "e", "errorRate": {"max": 0.1}, "compare": {"maxRatio": 2}}],
            "watch": {"for": "30m"},
            "interval": "1s",
        }
    )
    program = program_of(spec)
    assert program.steps == (Step(5, 60), Step(50, 5400))
    assert program.manual == {1}
    assert program.watch_seconds == 1800
    assert [gate.compare for gate in program.watch_gates] == [None], "after the promotion there is nothing to compare with"
    assert program.interval == 5.0, "no faster than every five seconds"


def test_manual_without_a_chosen_step_waits_before_the_first_request() -> None:
    assert program_of(RolloutSpec.model_validate({"approval": "Manual", "steps": [{"weight": 5}]})).manual == {0}
    assert program_of(RolloutSpec.model_validate({"approval": "Manual", "strategy": "BlueGreen"})).manual == {0}
