"""Leader election under a clock that is moved by hand."""

from __future__ import annotations

import asyncio

import pytest

from slipway.kube.port import Unavailable
from slipway.kube.resources import LEASE
from slipway.reconcile.errors import LeaseLost
from slipway.reconcile.lease import Lease
from tests.fakes.api_server import Call, FakeApiServer
from tests.fakes.clock import FakeClock


class Instance:
    """One operator: sleeping moves the clock on. `asleep` sees each sleep."""

    def __init__(self, api: FakeApiServer, name: str) -> None:
        self.slept: list[float] = []
        self.api = api
        self.limit = 100

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            api.clock.advance(seconds)
            assert len(self.slept) <= self.limit, "waits for ever"
            await asyncio.sleep(0)

        self.lease = Lease(
            api,
            "default",
            "slipway",
            name,
            clock=api.clock,
            monotonic=api.clock.monotonic,
            sleep=sleep,
            uniform=lambda low, _high: low,
        )


@pytest.fixture
def api() -> FakeApiServer:
    return FakeApiServer(FakeClock())


def holder(api: FakeApiServer) -> str:
    lease = api.peek("Lease", "default", "slipway")
    assert lease is not None
    return str(lease["spec"]["holderIdentity"])


async def test_the_first_one_leads_at_once(api: FakeApiServer) -> None:
    one = Instance(api, "one")
    await one.lease.acquire()
    assert holder(api) == "one"
    assert one.lease.held
    assert one.slept == []
    one.lease.fence()


async def test_nobody_writes_before_he_leads(api: FakeApiServer) -> None:
    with pytest.raises(LeaseLost):
        Instance(api, "one").lease.fence()


async def test_a_second_one_waits_until_the_first_falls_silent(api: FakeApiServer) -> None:
    one, two = Instance(api, "one"), Instance(api, "two")
    await one.lease.acquire()
    await two.lease.acquire()
    assert sum(two.slept) >= 15
    assert holder(api) == "two"
    with pytest.raises(LeaseLost):
        one.lease.fence()


async def test_at_no_time_may_two_write(api: FakeApiServer) -> None:
    one, two = Instance(api, "one"), Instance(api, "two")
    await one.lease.acquire()
    waiting = asyncio.create_task(two.lease.acquire())
    while not waiting.done():
        await asyncio.sleep(0)
        assert not (one.lease.held and two.lease.held)
    assert two.lease.held


async def test_the_second_one_does_not_trust_the_clock_of_the_first(api: FakeApiServer) -> None:
    """A renewal time far in the past says nothing when the clocks differ: only that it stands still does."""
    one, two = Instance(api, "one"), Instance(api, "two")
    one.lease._clock = FakeClock(api.clock().replace(year=2001))
    await one.lease.acquire()
    two.limit = 3
    with pytest.raises(AssertionError, match="for ever"):
        await two.lease.acquire()
    assert holder(api) == "one"


async def test_renewing_keeps_it(api: FakeApiServer) -> None:
    one = Instance(api, "one")
    await one.lease.acquire()
    one.limit = 20
    with pytest.raises(AssertionError, match="for ever"):
        await one.lease.hold()
    assert one.lease.held
    lease = api.peek("Lease", "default", "slipway")
    assert lease is not None
    assert lease["spec"]["leaseTransitions"] == 0


async def test_without_an_answer_it_ends_before_anybody_else_may_begin(api: FakeApiServer) -> None:
    one = Instance(api, "one")
    await one.lease.acquire()

    def away(_call: Call) -> None:
        raise Unavailable("no answer")

    api.before = away
    with pytest.raises(LeaseLost):
        await one.lease.hold()
    assert 10 <= sum(one.slept) < 15
    with pytest.raises(LeaseLost):
        one.lease.fence()


async def test_a_few_failures_are_survived(api: FakeApiServer) -> None:
    one = Instance(api, "one")
    await one.lease.acquire()
    fails = iter([True, True, True])

    def sometimes(_call: Call) -> None:
        if next(fails, False):
            raise Unavailable("no answer")

    api.before = sometimes
    one.limit = 20
    with pytest.raises(AssertionError, match="for ever"):
        await one.lease.hold()
    assert one.lease.held


async def test_a_lease_taken_by_another_ends_it_at_once(api: FakeApiServer) -> None:
    one = Instance(api, "one")
    await one.lease.acquire()
    api.edit("Lease", "default", "slipway", lambda obj: obj["spec"].update(holderIdentity="two"))
    with pytest.raises(LeaseLost):
        await one.lease.hold()
    assert len(one.slept) == 1


async def test_what_was_lost_stays_lost(api: FakeApiServer) -> None:
    one = Instance(api, "one")
    await one.lease.acquire()
    api.clock.advance(11)
    with pytest.raises(LeaseLost):
        one.lease.fence()
    await one.lease._try()
    assert not one.lease.held


async def test_what_is_given_back_is_taken_at_once(api: FakeApiServer) -> None:
    one, two = Instance(api, "one"), Instance(api, "two")
    await one.lease.acquire()
    await one.lease.release()
    with pytest.raises(LeaseLost):
        one.lease.fence()
    await two.lease.acquire()
    assert two.slept == []
    assert holder(api) == "two"


async def test_giving_back_what_another_has_leaves_it_alone(api: FakeApiServer) -> None:
    one = Instance(api, "one")
    await one.lease.acquire()
    api.edit("Lease", "default", "slipway", lambda obj: obj["spec"].update(holderIdentity="two"))
    await one.lease.release()
    assert holder(api) == "two"


async def test_a_renewal_that_was_done_but_not_answered_counts_from_its_start(api: FakeApiServer) -> None:
    one = Instance(api, "one")
    await one.lease.acquire()
    before = await api.get(LEASE, "default", "slipway")
    lost = iter([True])

    def lose(call: Call) -> None:
        if call.write and next(lost, False):
            raise Unavailable("no answer")

    api.after = lose
    one.limit = 3
    with pytest.raises(AssertionError, match="for ever"):
        await one.lease.hold()
    assert one.lease.held
    assert before is not None
