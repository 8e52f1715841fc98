"""The work queue, without waiting: the schedule under a clock that is moved, the workers on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from slipway.reconcile.contract import Key
from slipway.reconcile.driver import Outcome
from slipway.reconcile.errors import LeaseLost
from slipway.reconcile.queue import Backoff, Schedule, WorkQueue
from slipway.telemetry.metrics import OperatorMetrics

A, B = Key("ModelBuild", "ns", "a"), Key("ModelBuild", "ns", "b")
KEYS = [Key("ModelBuild", "ns", name) for name in "abc"]


# ---- the schedule ----


def test_keys_are_taken_in_the_order_they_came_and_once() -> None:
    schedule = Schedule()
    assert [schedule.add(key, 0.0) for key in (A, B, A)] == [True, True, False]
    assert schedule.take(2.0) == (A, 2.0)
    assert schedule.take(3.0) == (B, 3.0)
    assert schedule.take(3.0) is None


def test_a_key_that_changes_while_it_is_worked_on_comes_again_afterwards() -> None:
    schedule = Schedule()
    schedule.add(A, 0.0)
    schedule.take(0.0)
    schedule.add(A, 1.0)
    schedule.add(A, 1.0)
    assert schedule.take(1.0) is None
    assert schedule.done(A, 2.0)
    assert schedule.take(2.0) == (A, 0.0)
    assert not schedule.done(A, 3.0)


def test_of_several_times_the_earliest_counts() -> None:
    schedule = Schedule()
    for when in (30.0, 10.0, 20.0):
        schedule.add_at(A, when)
    assert schedule.next_due() == 10.0
    assert schedule.due(9.9) == []
    assert schedule.due(10.0) == [A]
    schedule.take(10.0)
    schedule.done(A, 10.0)
    assert schedule.due(100.0) == []


def test_an_event_makes_a_timer_needless() -> None:
    schedule = Schedule()
    schedule.add_at(A, 10.0)
    schedule.add(A, 1.0)
    assert schedule.next_due() is None
    assert schedule.depth == 1


def test_ages_tell_how_long_the_oldest_waits_and_runs() -> None:
    schedule = Schedule()
    assert (schedule.oldest_wait(5.0), schedule.longest_run(5.0)) == (0.0, 0.0)
    schedule.add(A, 1.0)
    schedule.add(B, 3.0)
    assert schedule.oldest_wait(5.0) == 4.0
    schedule.take(5.0)
    assert (schedule.oldest_wait(6.0), schedule.longest_run(6.0)) == (3.0, 1.0)


class AnySchedule(RuleBasedStateMachine):
    """Whatever happens: no key is worked on twice at once, and none that was added is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule = Schedule()
        self.now = 0.0
        self.running: set[Key] = set()
        self.owed: set[Key] = set()
        """Keys that were added and not taken since."""

    @rule(key=st.sampled_from(KEYS))
    def add(self, key: Key) -> None:
        self.schedule.add(key, self.now)
        self.owed.add(key)

    @rule(key=st.sampled_from(KEYS), seconds=st.floats(0, 10))
    def add_later(self, key: Key, seconds: float) -> None:
        self.schedule.add_at(key, self.now + seconds)

    @rule(seconds=st.floats(0, 10))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.owed.update(self.schedule.due(self.now))

    @rule()
    def take(self) -> None:
        taken = self.schedule.take(self.now)
        if taken is None:
            assert self.owed <= self.running, "a key that was added is not in line"
            return
        assert taken[0] not in self.running
        self.running.add(taken[0])
        self.owed.discard(taken[0])

    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        if self.running:
            key = data.draw(st.sampled_from(sorted(self.running)))
            self.running.discard(key)
            self.schedule.done(key, self.now)

    @invariant()
    def nobody_is_forgotten(self) -> None:
        assert self.schedule.running == len(self.running)
        assert self.schedule.depth == len(self.owed - self.running)


TestAnySchedule = AnySchedule.TestCase
TestAnySchedule.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


# ---- back-off ----


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def test_pauses_double_up_to_a_limit() -> None:
    backoff = Backoff(base=1.0, cap=10.0)
    assert [backoff.seconds(n, middle) for n in (1, 2, 3, 4, 5, 1000)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_pauses_are_spread() -> None:
    backoff = Backoff(base=1.0, jitter=0.2)
    assert backoff.seconds(1, min) == 0.8
    assert backoff.seconds(1, max) == 1.2


# ---- the queue ----

Handler = Callable[[Key, int], Awaitable[Outcome]]


class Bench:
    """A queue with a clock of its own; `run` works until nothing is in line any more."""

    def __init__(self, handler: Handler, *, workers: int = 2, resync: float = 30.0) -> None:
        self.now = 0.0
        self.metrics = OperatorMetrics()
        self.queue = WorkQueue(handler, self.metrics, workers=workers, resync=resync, clock=lambda: self.now, uniform=middle)

    async def __aenter__(self) -> Bench:
        self.task = asyncio.create_task(self.queue.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.queue.drain()
        async with asyncio.timeout(5):
            await self.task

    async def rest(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)
        assert self.queue.depth == 0 or self.queue.running > 0

    async def advance(self, seconds: float) -> None:
        """Moves the clock; a far timer wakes the queue, which then sees what is due."""
        self.now += seconds
        self.queue.add_after(Key("Nothing", "ns", "wake"), 1e6)
        await self.rest()

    def value(self, name: str, /, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


class Script:
    """Answers with the outcomes in their order, the last one again and again, and remembers the calls."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.calls: list[tuple[Key, int]] = []

    async def __call__(self, key: Key, failures: int) -> Outcome:
        self.calls.append((key, failures))
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]


GOOD = Outcome("success")
BAD = Outcome("transient", "StoreUnavailable", "away")
CONFLICT = Outcome("conflict")


async def test_failures_are_counted_and_tried_again_with_growing_pauses() -> None:
    script = Script(BAD, BAD, GOOD, BAD)
    async with Bench(script) as bench:
        bench.queue.add(A)
        await bench.rest()
        await bench.advance(0.4)
        assert script.calls == [(A, 0)]
        await bench.advance(0.1)
        assert script.calls == [(A, 0), (A, 1)]
        await bench.advance(1.0)
        assert script.calls == [(A, 0), (A, 1), (A, 2)]
        bench.queue.add(A)
        await bench.rest()
        assert script.calls[-1] == (A, 0), "success forgets the failures"
        assert bench.value("workqueue_retries_total", name="slipway") == 3


async def test_a_server_that_asks_for_patience_gets_it() -> None:
    script = Script(Outcome("transient", "ApiUnavailable", "429", after=7.0), GOOD)
    async with Bench(script) as bench:
        bench.queue.add(A)
        await bench.rest()
        await bench.advance(6.9)
        assert len(script.calls) == 1
        await bench.advance(0.1)
        assert len(script.calls) == 2


async def test_a_conflict_is_tried_at_once_but_not_for_ever() -> None:
    script = Script(CONFLICT)
    async with Bench(script) as bench:
        bench.queue.add(A)
        await bench.rest()
        assert len(script.calls) == Backoff().conflicts + 1
        await bench.advance(0.5)
        assert len(script.calls) == Backoff().conflicts + 2


async def test_every_key_is_looked_at_again_after_the_resync_and_a_gone_one_never() -> None:
    script = Script(GOOD)
    gone = Script(Outcome("gone"))

    async def handler(key: Key, failures: int) -> Outcome:
        return await (gone if key == B else script)(key, failures)

    async with Bench(handler, resync=30.0) as bench:
        bench.queue.add(A)
        bench.queue.add(B)
        await bench.rest()
        await bench.advance(30.0)
        await bench.advance(30.0)
    assert len(script.calls) == 3
    assert len(gone.calls) == 1


@pytest.mark.parametrize(
    ("outcome", "after"),
    [(Outcome("success", after=3.0), 3.0), (Outcome("success", after=99.0), 30.0), (Outcome("stalled", "X", "y"), 30.0)],
)
async def test_the_wish_for_a_look_is_kept_within_the_resync(outcome: Outcome, after: float) -> None:
    script = Script(outcome)
    async with Bench(script, resync=30.0) as bench:
        bench.queue.add(A)
        await bench.rest()
        await bench.advance(after - 0.1)
        assert len(script.calls) == 1
        await bench.advance(0.1)
        assert len(script.calls) == 2


async def test_a_key_is_never_worked_on_twice_at_once_and_workers_are_limited() -> None:
    running: list[Key] = []
    most = 0
    release = asyncio.Event()

    async def handler(key: Key, _failures: int) -> Outcome:
        nonlocal most
        assert key not in running
        running.append(key)
        most = max(most, len(running))
        await release.wait()
        running.remove(key)
        return GOOD

    async with Bench(handler, workers=2) as bench:
        for key in (*KEYS, *KEYS):
            bench.queue.add(key)
        await bench.rest()
        bench.queue.add(KEYS[0])
        await bench.rest()
        assert bench.queue.running == 2
        assert bench.value("controller_runtime_active_workers", controller="ModelBuild") == 2
        release.set()
        await bench.rest()
    assert most == 2


async def test_draining_lets_work_end_and_starts_nothing_new() -> None:
    release = asyncio.Event()
    ended: list[Key] = []

    async def handler(key: Key, _failures: int) -> Outcome:
        await release.wait()
        ended.append(key)
        return GOOD

    async with Bench(handler, workers=1) as bench:
        bench.queue.add(A)
        bench.queue.add(B)
        await bench.rest()
        bench.queue.drain()
        bench.queue.add(Key("ModelBuild", "ns", "late"))
        release.set()
    assert ended == [A]


async def test_what_nobody_handles_ends_the_queue() -> None:
    async def handler(_key: Key, _failures: int) -> Outcome:
        raise LeaseLost("somebody else leads")

    bench = Bench(handler)
    bench.queue.add(A)
    with pytest.raises(ExceptionGroup) as raised:
        await bench.queue.run()
    assert raised.value.subgroup(LeaseLost)


async def test_results_are_counted_under_the_names_of_controller_runtime() -> None:
    outcomes = [GOOD, Outcome("success", after=1.0), CONFLICT, BAD, Outcome("stalled", "X", "y"), Outcome("gone")]
    script = Script(*outcomes)
    keys = [Key("ModelBuild", "ns", f"k{n}") for n in range(len(outcomes))]
    async with Bench(script, workers=1) as bench:
        for key in keys:
            bench.queue.add(key)
            await bench.rest()
        total = "controller_runtime_reconcile_total"
        counts = {
            result: bench.value(total, controller="ModelBuild", result=result)
            for result in ("success", "requeue_after", "requeue", "error")
        }
        # the conflict came again at once and drew the next outcome
        assert counts == {"success": 3, "requeue_after": 1, "requeue": 1, "error": 2}
        assert bench.value("controller_runtime_reconcile_errors_total", controller="ModelBuild") == 2
        assert bench.value("workqueue_adds_total", name="slipway") >= len(keys)
        assert bench.value("workqueue_depth", name="slipway") == 0
        assert bench.value("workqueue_queue_duration_seconds_count", name="slipway") == 7
        assert bench.value("workqueue_work_duration_seconds_count", name="slipway") == 7
