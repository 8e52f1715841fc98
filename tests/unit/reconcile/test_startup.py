"""Waiting for the store and for our kinds, and the list now and then."""

from __future__ import annotations

import asyncio
import logging

import pytest

from slipway.kube.port import Object, Rejected, Unavailable
from slipway.reconcile.contract import Key, Stalled, Transient
from slipway.reconcile.resync import Resync
from slipway.reconcile.routing import RESOURCES
from slipway.reconcile.startup import Kinds, StoreGate
from slipway.storage.port import Unavailable as StoreUnavailable
from slipway.storage.probe import ProbeReport
from tests.fakes.api_server import Call, FakeApiServer

OK = ProbeReport("Ok", "keeps its promises")
AWAY = ProbeReport("Unavailable", "s3://slipway: no answer")
DENIED = ProbeReport("Denied", "s3://slipway: no s3:PutObject")
REFUSED = ProbeReport("Refused", "s3://slipway: all sixteen racers won")


class Gate:
    """A gate whose store gives these answers one after the other."""

    def __init__(self, *answers: ProbeReport | Exception) -> None:
        self.answers = list(answers)
        self.slept: list[float] = []
        self.passed = 0
        self.between: list[str | None] = []
        self.gate = StoreGate(self._probe, on_pass=self._pass, sleep=self._sleep)

    async def _probe(self) -> ProbeReport:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _pass(self) -> None:
        self.passed += 1

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.between.append(self.gate.problem())


async def test_a_store_that_passes_is_asked_once() -> None:
    gate = Gate(OK)
    with pytest.raises(Transient):
        gate.gate.check()
    assert gate.gate.problem()
    await gate.gate.run()
    gate.gate.check()
    assert gate.gate.problem() is None
    assert (gate.passed, gate.slept) == (1, [])


async def test_a_store_that_is_away_is_asked_again_soon_and_then_less_often() -> None:
    gate = Gate(AWAY, StoreUnavailable("no answer"), AWAY, OK)
    await gate.gate.run()
    assert gate.slept == [1.0, 2.0, 5.0]
    assert gate.between[0] == AWAY.message
    assert gate.passed == 1


@pytest.mark.parametrize(
    ("report", "kind", "reason"),
    [
        (AWAY, Transient, "StoreUnavailable"),
        (DENIED, Stalled, "StoreDenied"),
        (REFUSED, Stalled, "StoreUnsuitable"),
    ],
)
async def test_resources_are_told_what_is_wrong_with_the_store(
    report: ProbeReport, kind: type[Transient | Stalled], reason: str
) -> None:
    gate = Gate(report)

    async def stop(_seconds: float) -> None:
        raise asyncio.CancelledError

    gate.gate._sleep = stop
    with pytest.raises(asyncio.CancelledError):
        await gate.gate.run()
    assert gate.gate.asked.is_set()
    with pytest.raises(kind) as raised:
        gate.gate.check()
    assert raised.value.reason == reason
    assert raised.value.message == report.message


async def test_a_refused_store_is_asked_again_after_a_minute() -> None:
    gate = Gate(REFUSED, DENIED, OK)
    await gate.gate.run()
    assert gate.slept == [60.0, 60.0]


async def test_missing_kinds_are_waited_for_and_named(caplog: pytest.LogCaptureFixture) -> None:
    api = FakeApiServer()
    api.missing_kinds |= {"ModelBuild", "AppBuild"}
    problems: list[str | None] = []

    async def sleep(_seconds: float) -> None:
        problems.append(kinds.problem())
        if len(problems) == 2:
            api.missing_kinds.clear()

    kinds = Kinds(api, RESOURCES, "default", sleep=sleep)
    assert kinds.problem()
    with caplog.at_level(logging.WARNING):
        await kinds.wait()
    assert problems[0] is not None
    assert "modelbuilds.slipway.dev, appbuilds.slipway.dev" in problems[0]
    assert kinds.problem() is None
    assert len(caplog.records) == 1, "the same is not said at each look"


@pytest.mark.parametrize("error", [Unavailable("no answer"), Rejected("forbidden: cannot get", code=403)])
async def test_an_api_server_that_does_not_say_is_waited_for(error: Exception) -> None:
    api = FakeApiServer()
    fails = iter([error])

    def hook(_call: Call) -> None:
        failing = next(fails, None)
        if failing:
            raise failing

    api.before = hook

    async def sleep(_seconds: float) -> None:
        assert kinds.problem() == str(error)

    kinds = Kinds(api, RESOURCES, "default", sleep=sleep)
    await kinds.wait()


def build(name: str, namespace: str = "default") -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "slipway.dev/v1alpha1", "kind": "ModelBuild", "metadata": metadata, "spec": {}}


async def test_a_list_finds_what_watches_missed_and_spreads_it() -> None:
    api = FakeApiServer(namespaces=("default", "other"))
    for name, namespace in (("one", "default"), ("two", "other")):
        api.as_user(build(name, namespace))
    added: list[tuple[Key, float]] = []
    sweep = Resync(api, (), lambda key, s: added.append((key, s)), interval=300, spread=30, uniform=lambda _l, high: high)
    assert await sweep.once(30.0)
    assert added == [(Key("ModelBuild", "default", "one"), 30.0), (Key("ModelBuild", "other", "two"), 30.0)]
    added.clear()
    only = Resync(api, ("other",), lambda key, s: added.append((key, s)), interval=300, spread=30)
    await only.once(0.0)
    assert [key.name for key, _ in added] == ["two"]


async def test_a_list_that_cannot_be_had_ages_the_resync() -> None:
    api = FakeApiServer()
    now = [0.0]
    sweep = Resync(api, (), lambda _key, _s: None, interval=300, spread=30, clock=lambda: now[0])
    now[0] = 100.0

    def away(_call: Call) -> None:
        raise Unavailable("no answer")

    api.before = away
    assert not await sweep.once(30.0)
    assert sweep.age() == 100.0
    api.heal()
    assert await sweep.once(30.0)
    assert sweep.age() == 0.0
