"""Whatever a roll-out's facts are: it is decided, it is decided the same twice, and a bad candidate never gains."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from slipway.api.common import Approval
from slipway.api.rollout import Order
from slipway.controllers.model_deployment.program import (
    Begin,
    Facts,
    Hold,
    Program,
    Promote,
    Rollback,
    Step,
    Wait,
    candidate_replicas,
    next_step,
)
from slipway.controllers.model_deployment.samples import PodSample, advanced, parse, window_of

NOW = datetime(2026, 11, 3, 12, 0, 0, tzinfo=UTC)

weights = st.lists(st.integers(1, 100), max_size=5).map(sorted)
programs = st.builds(
    lambda found, hold, manual: Program(steps=tuple(Step(w, hold) for w in found), manual=manual),
    weights,
    st.integers(0, 120),
    st.frozensets(st.integers(0, 6), max_size=3),
)
orders = st.builds(
    lambda action, step: Order(action=action, revision="r", step=step),
    st.sampled_from(["pause", "resume", "promote", "abort", "retry"]),
    st.none() | st.integers(0, 6),
)
facts = st.builds(
    Facts,
    revision=st.just("r"),
    version=st.just(2),
    ready=st.booleans(),
    step=st.none() | st.integers(0, 6),
    step_since=st.none() | st.integers(0, 300).map(lambda s: NOW - timedelta(seconds=s)),
    deadline_passed=st.none() | st.just("late"),
    failed_gate=st.none() | st.just("errors"),
    blocked_by=st.none() | st.just("no data"),
    order=st.none() | orders,
    approval=st.none() | st.builds(Approval, version=st.integers(1, 3), step=st.none() | st.integers(0, 6)),
)


@given(programs, facts)
def test_every_situation_has_one_decision(program: Program, known: Facts) -> None:
    decided = next_step(program, known, NOW)
    assert isinstance(decided, Begin | Hold | Promote | Rollback | Wait)
    assert decided == next_step(program, known, NOW)


@given(programs, facts)
def test_a_failed_gate_always_takes_the_candidate_back(program: Program, known: Facts) -> None:
    assert isinstance(next_step(program, replace(known, failed_gate="errors"), NOW), Rollback)


@given(programs, facts)
def test_nothing_is_gained_without_ready_pods(program: Program, known: Facts) -> None:
    assert not isinstance(next_step(program, replace(known, ready=False), NOW), Begin | Promote)


@given(programs, facts)
def test_steps_are_taken_in_their_order_unless_a_person_says_otherwise(program: Program, known: Facts) -> None:
    decided = next_step(program, replace(known, order=None), NOW)
    if isinstance(decided, Begin):
        assert decided.step == (0 if known.step is None else known.step + 1)


@given(programs)
def test_a_good_candidate_gets_there(program: Program) -> None:
    """With everybody agreeing and time passing, each program ends, in as many decisions as it has steps."""
    known, now = Facts(revision="r", version=2, ready=True, approval=Approval(version=2)), NOW
    for _ in range(len(program.steps) + 2):
        decided = next_step(program, known, now)
        if isinstance(decided, Promote):
            return
        assert isinstance(decided, Begin)
        known = replace(known, step=decided.step, step_since=now)
        now += timedelta(seconds=200)
    raise AssertionError("it never ends")


@given(st.integers(0, 1000), st.integers(1, 100))
def test_a_share_by_pods_is_never_above_the_weight_when_it_can_be_met(replicas: int, weight: int) -> None:
    pods = candidate_replicas(replicas, weight)
    assert 0 <= pods <= replicas
    if weight < 100 and pods > 1:
        assert pods / (pods + replicas) <= weight / 100 + 1e-9
    assert pods >= min(1, replicas)


@given(st.text(max_size=300))
def test_no_page_breaks_the_reader(text: str) -> None:
    parse(text)
    parse("slipway_requests_total{" + text)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1000), st.sampled_from(["a", "b", ""])), max_size=30))
def test_whatever_pods_count_a_window_never_counts_backwards(readings: list[tuple[int, int, str]]) -> None:
    marks, now = (), NOW
    for seconds, count, name in readings:
        now += timedelta(seconds=seconds)
        samples = {name: PodSample(0.0, count, 0, 0, (), ())} if name else {}
        found = window_of(marks, 60, samples, now)
        assert found is None or found.requests >= 0
        marks = advanced(marks, [60], samples, now)
        assert len(marks) <= 3
