"""Candidates that are bad in ways that do not show at once, and roll-outs that somebody meddles with: who serves meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from slipway.controllers.model_deployment.policy import broke_off
from slipway.kube.port import Object
from tests.fakes.cluster import Serving
from tests.fakes.scraper import Behaviour
from tests.faults.controllers.deployments import REVISION, deployment_world, publish, revisions, selected, settle
from tests.faults.controllers.test_rollout import ERRORS, behave, canary, served, until
from tests.faults.controllers.worlds import get, put, ready
from tests.faults.world import Operator, World


async def run(world: World, seconds: int, each: Callable[[], None] = lambda: None) -> None:
    """So many seconds of the world's time, with a new operator in each of them."""
    for _ in range(seconds):
        await Operator(world).round()
        world.cluster.step()
        each()
        world.clock.advance(1.0)


def endpoints(world: World) -> dict[str, int]:
    """Ready pods behind the Service that users ask, by revision."""
    selector = get(world, "Service", "cancer")["spec"]["selector"]
    found: dict[str, int] = {}
    for pod in world.api.all("Pod"):
        labels, states = pod["metadata"]["labels"], pod.get("status", {}).get("containerStatuses", ())
        if selector.items() <= labels.items() and states and all(state["ready"] for state in states):
            found[labels[REVISION]] = found.get(labels[REVISION], 0) + 1
    return found


def status(world: World) -> dict[str, Any]:
    found: dict[str, Any] = get(world, "ModelDeployment", "cancer")["status"]
    return found


# ---- fine at first ----


async def test_fine_until_it_has_half_of_the_requests() -> None:
    """A model that is good while it has few requests, and fails when it has more."""
    world = deployment_world()
    first = (await served(world, canary(replicas=4)))["status"]["stable"]["revision"]

    def script(pod: Object) -> Behaviour:
        mine = pod["metadata"]["labels"][REVISION]
        busy = mine != first and sum(p["metadata"]["labels"][REVISION] == mine for p in world.api.all("Pod")) > 1
        return Behaviour(errors=0.5 if busy else 0.0)

    world.scraper.script = script
    publish(2)(world)
    found = await until(world, step=1)
    assert found["status"]["candidate"]["gates"][0]["verdict"] == "Pass", "at a quarter it was fine"
    found = await settle(world, lambda w: None)
    assert ready(found) == ("False", "GateFailed")
    assert found["status"]["stable"]["version"] == 1
    assert found["status"]["held"]["version"] == 2
    assert endpoints(world) == {first: 4}


async def test_one_that_answers_quickly_without_an_error_and_wrong() -> None:
    """Seen by what it answers: a mix of predictions that is not that of training. (Against the stable one's answers: test_shadow.py.)"""
    world = deployment_world()
    mix = {"name": "mix", "predictionMix": {"maxPSI": 0.2}, "window": "60s", "minRequests": 20}
    first = (await served(world, canary(gates=[ERRORS, mix])))["status"]["stable"]["revision"]
    behave(world, v2=Behaviour(other_predictions=0.9))
    found = await settle(world, publish(2))
    assert ready(found) == ("False", "GateFailed")
    assert "gate mix" in found["status"]["held"]["message"]
    assert endpoints(world) == {first: 3}
    found = await settle(world, publish(3))
    assert found["status"]["stable"]["version"] == 3, "the gate lets others pass"


@pytest.mark.parametrize("warm", ["2h", "10s"])
async def test_fine_until_an_hour_after_its_promotion(warm: str) -> None:
    world = deployment_world()
    rollout = {"steps": [{"weight": 50}], "watch": {"for": "2h", "gates": [ERRORS]}, "rollbackWindow": warm}
    first = (await served(world, canary(gates=[], **rollout)))["status"]["stable"]["revision"]
    publish(2)(world)
    while status(world).get("stable", {}).get("version") != 2:
        await run(world, 1)
    for _ in range(360):
        world.clock.advance(9.0)
        await run(world, 1)
    assert status(world)["stable"]["version"] == 2
    assert revisions(world)[first]["spec"]["replicas"] == (3 if warm == "2h" else 0)
    behave(world, v2=Behaviour(errors=0.9))
    seen: list[int] = []
    began = world.clock.monotonic()
    while status(world)["stable"]["version"] != 1:
        await run(world, 1, lambda: seen.append(sum(endpoints(world).values())))
        assert world.clock.monotonic() - began < 90, "the window of the gate, and a little"
    assert min(seen) == 3, "somebody answers all the time: bad answers are better than none until good ones can be had"
    await run(world, 10)
    assert status(world)["held"]["version"] == 2
    assert endpoints(world) == {first: 3}


NOON = "2026-11-03T12:00:00Z"

# ---- memory, crashes, and what only looks like one ----


def killed(world: World, first: str, **end: Any) -> Callable[[Object], Serving]:
    """Pods of all revisions but `first` were ended just now, and are ready again before anybody looks."""
    last = {"finishedAt": world.clock.text(), "exitCode": 137, "reason": "OOMKilled"} | end
    return lambda deployment: Serving() if deployment["metadata"]["labels"][REVISION] == first else Serving(last=last)


@pytest.mark.parametrize(
    ("end", "words"),
    [({}, "needed more memory"), ({"exitCode": 139, "reason": "Error", "message": "Segmentation fault"}, "Segmentation fault")],
)
async def test_a_candidate_that_leaks_memory_or_crashes_is_taken_back_though_it_is_ready_again(
    end: dict[str, Any], words: str
) -> None:
    """Its counters begin anew with it, so that no gate sees what it lost."""
    world = deployment_world()
    first = (await served(world, canary(steps=[{"weight": 25, "hold": "1h"}])))["status"]["stable"]["revision"]
    publish(2)(world)
    await until(world, step=0)
    await run(world, 120)
    assert status(world)["candidate"]["step"] == 0
    world.cluster.deployments = killed(world, first, **end)
    await run(world, 15)
    assert selected(world) == first, "within one interval and 5 s"
    found = await settle(world, lambda w: None)
    assert ready(found) == ("False", "CandidateFailed")
    assert words in found["status"]["held"]["message"]
    assert endpoints(world) == {first: 3}


@pytest.mark.parametrize(
    ("end", "counts"),
    [
        ({"reason": "OOMKilled", "exitCode": 137}, True),
        ({"reason": "Error", "exitCode": 1}, True),
        ({"reason": "Error", "exitCode": 139}, True),
        ({"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-03T11:59:59Z"}, False),
        ({"reason": "Error", "exitCode": 137}, False),
        ({"reason": "Error", "exitCode": 143}, False),
        ({"reason": "Unknown", "exitCode": 255}, False),
        ({"reason": "Completed", "exitCode": 0}, False),
        ({"reason": "Error", "exitCode": 1, "finishedAt": None}, False),
    ],
)
@pytest.mark.parametrize("where", ["state", "lastState"])
def test_which_ends_of_containers_count(end: dict[str, Any], counts: bool, where: str) -> None:
    state = {"name": "server", "ready": True, "state": {"running": {}}, where: {"terminated": {"finishedAt": NOON} | end}}
    healthy = {"name": "server", "ready": True, "state": {"running": {}}}
    pods = [{"status": {"containerStatuses": [healthy]}}, {"status": {"containerStatuses": [healthy, state]}}, {}]
    assert (broke_off(pods, datetime.fromisoformat(NOON)) is not None) == counts
    assert broke_off(pods, None) is None, "before its first request"
    leaving = [pod | {"metadata": {"deletionTimestamp": NOON}} for pod in pods]
    assert broke_off(leaving, datetime.fromisoformat(NOON)) is None


async def test_a_leak_that_shows_after_the_promotion_is_taken_back_while_it_is_watched() -> None:
    world = deployment_world()
    rollout = {"steps": [{"weight": 50}], "watch": {"for": "2h", "gates": [ERRORS]}, "rollbackWindow": "2h"}
    first = (await served(world, canary(gates=[], **rollout)))["status"]["stable"]["revision"]
    publish(2)(world)
    while status(world).get("stable", {}).get("version") != 2:
        await run(world, 1)
    for _ in range(100):
        world.clock.advance(30.0)
        await run(world, 1)
    assert status(world)["stable"]["version"] == 2
    world.cluster.deployments = killed(world, first)
    await run(world, 15)
    assert endpoints(world) == {first: 3}
    found = status(world)
    assert (found["held"]["version"], found["held"]["reason"]) == (2, "CandidateFailed")
    assert found["history"][0]["reason"] == "CandidateFailed"


async def test_a_node_that_restarts_in_the_middle_costs_no_candidate() -> None:
    """All pods are away for a while, and their containers ended as containerd says it after a restart: 255, or killed."""
    world = deployment_world()
    await served(world, canary(steps=[{"weight": 25, "hold": "2m"}]))
    publish(2)(world)
    await until(world, step=0)
    world.cluster.deployments = lambda _deployment: Serving(ready=0)
    await run(world, 40)
    last = {"finishedAt": world.clock.text(), "exitCode": 255, "reason": "Unknown"}
    world.cluster.deployments = lambda _deployment: Serving(last=last)
    found = await settle(world, lambda w: None)
    assert found["status"]["stable"]["version"] == 2
    assert "held" not in found["status"]


# ---- little traffic, and counters that begin anew ----


async def test_one_request_a_minute_is_judged_over_a_window_that_fits() -> None:
    world = deployment_world()
    few = Behaviour(rate=1 / 60)
    await served(world, canary())
    behave(world, v1=few, v2=few)
    publish(2)(world)
    await until(world, step=0)
    for _ in range(60):
        world.clock.advance(29.0)
        await run(world, 1)
    found = status(world)["candidate"]
    assert (found["step"], found["gates"][0]["verdict"]) == (0, "NoData"), "of one request a minute, no minute says anything"
    put(canary(gates=[ERRORS | {"window": "1h", "minRequests": 20}]))(world)
    found = await until_serves(world, 2)
    assert "held" not in found


async def until_serves(world: World, version: int) -> dict[str, Any]:
    for _ in range(600):
        world.clock.advance(29.0)
        await run(world, 1)
        if status(world)["stable"]["version"] == version:
            return status(world)
    raise AssertionError(f"never: {status(world)}")


@pytest.mark.parametrize(("errors", "serves"), [(0.0, 2), (0.5, 1)])
async def test_processes_that_start_anew_hide_no_errors_and_invent_none(errors: float, serves: int) -> None:
    world = deployment_world()
    await served(world, canary())
    behave(world, v1=Behaviour(restarts_every=17), v2=Behaviour(errors=errors, restarts_every=25))
    found = await settle(world, publish(2))
    assert found["status"]["stable"]["version"] == serves
    assert found["status"].get("held", {}).get("reason") == (None if serves == 2 else "GateFailed")


# ---- meddling ----

BIGGER = {"requests": {"memory": "2Gi"}, "limits": {"memory": "2Gi"}}


async def test_steps_that_change_in_the_middle_are_taken_from_where_it_is() -> None:
    world = deployment_world()
    first = (await served(world, canary()))["status"]["stable"]["revision"]
    publish(2)(world)
    candidate = (await until(world, step=0))["status"]["candidate"]["revision"]
    put(canary(steps=[{"weight": 25, "hold": "10s"}, {"weight": 30, "hold": "10s"}, {"weight": 40, "hold": "1h"}]))(world)
    found = await until(world, step=2)
    assert found["status"]["candidate"]["revision"] == candidate, "the same pods go on"
    assert set(revisions(world)) == {first, candidate}
    put(canary(steps=[{"weight": 25}]))(world)
    found = await settle(world, lambda w: None)
    assert found["status"]["stable"]["revision"] == candidate


async def test_pods_that_change_in_the_middle_start_over_while_stable_serves() -> None:
    world = deployment_world()
    first = (await served(world, canary()))["status"]["stable"]["revision"]
    publish(2)(world)
    candidate = (await until(world, step=1))["status"]["candidate"]["revision"]
    changed = canary()
    changed["spec"]["resources"] = BIGGER
    put(changed)(world)
    seen: list[dict[str, int]] = []
    await run(world, 10, lambda: seen.append(endpoints(world)))
    assert min(found.get(first, 0) for found in seen) == 3
    fresh = status(world)["candidate"]
    assert fresh["revision"] != candidate
    assert fresh.get("step") in (None, 0)
    found = await settle(world, lambda w: None)
    assert found["status"]["stable"]["revision"] == fresh["revision"]
    assert [entry["revision"] for entry in found["status"]["history"]] == [first]
    assert candidate not in revisions(world)


@pytest.mark.parametrize("strategy", ["BlueGreen", "Recreate", "Shadow"])
async def test_another_strategy_in_the_middle_comes_to_the_same_end(strategy: str) -> None:
    world = deployment_world()
    await served(world, canary())
    publish(2)(world)
    candidate = (await until(world, step=0))["status"]["candidate"]["revision"]
    rollout: dict[str, Any] = {"strategy": strategy, "rollbackWindow": "10s"}
    if strategy != "Shadow":
        rollout |= {"steps": [], "gates": []}
    put(canary(**rollout))(world)
    found = await settle(world, lambda w: None)
    assert found["status"]["stable"]["revision"] == candidate
    assert selected(world) == candidate
    assert set(revisions(world)) == {candidate}


# ---- how many requests a candidate gets ----


@pytest.mark.parametrize("errors", [0.0, 0.5])
async def test_its_share_of_the_pods_is_never_above_its_weight(errors: float) -> None:
    """At every moment, also while pods come and go: so no more requests than that can fail."""
    world = deployment_world()
    steps = [{"weight": weight, "hold": "20s"} for weight in (10, 25, 50)]
    first = (await served(world, canary(replicas=9, steps=steps)))["status"]["stable"]["revision"]
    behave(world, v2=Behaviour(errors=errors))
    publish(2)(world)
    reached = 0.0
    for _ in range(400):
        await run(world, 1)
        found, known = endpoints(world), status(world)
        if known["stable"]["version"] == 2 or "held" in known:
            break
        share = 1 - found.get(first, 0) / sum(found.values())
        reached = max(reached, share)
        step = known.get("candidate", {}).get("step")
        # the promotion itself: its gates have passed, and it has all its pods
        limit = 0.0 if step is None else steps[min(step, 2)]["weight"] / 100
        assert share <= limit + 1e-9, known["candidate"]
    assert known["stable"]["version"] == (1 if errors else 2)
    assert reached > 0.09, "it had the share that it was to have"
