"""Shadow on the in-memory API server: copies are asked for, compared and judged, and users keep the stable revision."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from slipway.kube.port import Object
from tests.fakes.scraper import Behaviour
from tests.faults.controllers.deployments import REVISION, deployment_world, publish, revisions, selected, settle
from tests.faults.controllers.test_gateway import GATEWAY, weights
from tests.faults.controllers.test_rollout import ERRORS, behave, until
from tests.faults.controllers.test_rollout_sweeps import without_figures, world_with_a_bad_version
from tests.faults.controllers.worlds import delete, get, model_deployment, put, ready
from tests.faults.sweep import Scenario, api_errors, crashes, lost_events, stale_reads, store_errors, sweep
from tests.faults.world import Operator, World

POINTS = None if os.environ.get("SLIPWAY_SWEEP") == "all" else 6
AGREEMENT = {"name": "same", "agreement": {"min": 0.95}, "window": "60s", "minRequests": 20}
STEPS = [{"weight": 50, "hold": "30s"}, {"weight": 100, "hold": "30s"}]


def shadow(replicas: int = 2, traffic: Any = None, **rollout: Any) -> Object:
    more = {"traffic": traffic} if traffic is not None else {}
    given = {"strategy": "Shadow", "steps": STEPS, "gates": [AGREEMENT]} | rollout
    return model_deployment(replicas=replicas, rollout=given, **more)


async def served(world: World, manifest: Object) -> str:
    publish(1)(world)
    found = await settle(world, put(manifest))
    return str(found["status"]["stable"]["revision"])


async def test_a_candidate_that_agrees_takes_over_after_copies_alone() -> None:
    world = deployment_world()
    first = await served(world, shadow(replicas=4))
    assert world.scraper.percent() == set(), "nothing is copied while nothing is tried"
    publish(2)(world)
    found = await until(world, step=0, weight=50)
    second = found["status"]["candidate"]["revision"]
    assert selected(world) == first, "every user is answered by the stable revision"
    assert world.scraper.percent() == {50}
    assert revisions(world)[second]["spec"]["replicas"] == 2, "half of the requests, half of the pods"
    service = get(world, "Service", revisions(world)[second]["metadata"]["name"])
    assert service["spec"]["selector"][REVISION] == second
    template = revisions(world)[first]["spec"]["template"]["spec"]["containers"][0]["env"]
    where = next(entry["value"] for entry in template if entry["name"] == "SLIPWAY_SHADOW")
    assert where.replace("{revision}", second[:8]) == f"http://{service['metadata']['name']}:8080"
    found = await until(world, step=1, weight=100)
    assert world.scraper.percent() == {100}
    verdict = found["status"]["candidate"]["gates"][0]
    assert verdict["verdict"] == "Pass"
    assert "agreement 1 >= 0.95" in verdict["message"]
    found = await settle(world, lambda w: None)
    assert ready(found) == ("True", "Serving")
    assert found["status"]["stable"]["version"] == 2
    assert selected(world) == second
    assert world.scraper.percent() == set(), "and it ends"


async def test_a_candidate_that_answers_otherwise_is_taken_back_and_no_user_saw_it() -> None:
    world = deployment_world()
    first = await served(world, shadow())
    world.scraper.agreement = 0.6
    publish(2)(world)
    operator = Operator(world)
    for _ in range(60):
        await operator.round()
        world.cluster.settle()
        assert selected(world) == first
        world.clock.advance(1.0)
    found = await settle(world, lambda w: None)
    assert ready(found) == ("False", "GateFailed")
    assert "agreement 0.6 < 0.95 over" in found["status"]["held"]["message"]
    assert list(revisions(world)) == [first]
    assert world.scraper.percent() == set()


async def test_numbers_are_held_together_by_their_distance() -> None:
    world = deployment_world()
    await served(world, shadow(gates=[{"name": "near", "agreement": {"maxDistance": 0.1}, "minRequests": 20}]))
    world.scraper.agreement = 0.9  # the fake's rows that disagree are 0.5 apart
    found = await settle(world, publish(2))
    assert found["status"]["stable"]["version"] == 2
    world.scraper.agreement = 0.5
    found = await settle(world, publish(3))
    assert "distance of answers 0.25 > 0.1" in found["status"]["held"]["message"]


async def test_a_candidate_that_answers_slowly_or_fails_is_seen_by_its_own_counters() -> None:
    world = deployment_world()
    latency = {"name": "latency", "latency": {"maxMilliseconds": 50}, "minRequests": 20}
    await served(world, shadow(gates=[AGREEMENT, latency, ERRORS]))
    behave(world, v2=Behaviour(latency=0.4), v3=Behaviour(errors=0.5))
    found = await settle(world, publish(2))
    assert "latency p99" in found["status"]["held"]["message"]
    found = await settle(world, publish(3))
    assert "error rate" in found["status"]["held"]["message"]
    assert found["status"]["stable"]["version"] == 1


async def test_without_requests_there_is_nothing_to_compare() -> None:
    world = deployment_world()
    await served(world, shadow())
    behave(world, v1=Behaviour(rate=0.0))
    found = await settle(world, publish(2))
    assert "no answer of the candidate was compared" in found["status"]["conditions"][0]["message"]
    assert found["status"]["candidate"]["step"] == 0
    behave(world)
    found = await settle(world, lambda w: None)
    assert found["status"]["stable"]["version"] == 2


async def test_copies_end_by_themselves_when_the_operator_is_gone() -> None:
    world = deployment_world()
    await served(world, shadow(steps=[{"weight": 100, "hold": "1h"}]))
    publish(2)(world)
    await until(world, step=0, weight=100)
    for _ in range(12):
        await Operator(world).round()
        world.clock.advance(10.0)
        assert world.scraper.percent() == {100}, "told again and again"
    world.clock.advance(60.0)
    assert world.scraper.percent() == set()


async def test_a_new_version_in_the_middle_ends_the_copies_for_the_one_before() -> None:
    world = deployment_world()
    await served(world, shadow(steps=[{"weight": 100, "hold": "5m"}]))
    publish(2)(world)
    await until(world, step=0, weight=100)
    publish(3)(world)
    found = await until(world, version=3)
    assert found["status"]["candidate"].get("step") in (None, 0)
    await until(world, version=3, step=0, weight=100)
    found = await settle(world, lambda w: None)
    assert found["status"]["stable"]["version"] == 3


async def test_a_gateway_gives_a_shadow_nothing() -> None:
    world = deployment_world()
    first = await served(world, shadow(traffic=GATEWAY))
    publish(2)(world)
    await until(world, step=0, weight=50)
    assert weights(world) == {first: 100}
    found = await settle(world, lambda w: None)
    assert weights(world) == {found["status"]["stable"]["revision"]: 100}


SCENARIO = Scenario(
    "shadow",
    world_with_a_bad_version,
    (
        publish(1),
        put(shadow(steps=[{"weight": 100, "hold": "10s"}], gates=[AGREEMENT, ERRORS], rollbackWindow="10s")),
        publish(2),
        publish(3),
        delete("ModelDeployment", "cancer"),
    ),
    budget=55,
    leaves_nothing=True,
    adjust=without_figures,
)


async def test_killed_at_every_write_it_comes_to_the_same_end() -> None:
    report = await sweep(SCENARIO, (crashes,))
    print(report)
    assert report.ok, report


@pytest.mark.parametrize("fault", [api_errors, store_errors, stale_reads, lost_events])
async def test_other_faults_end_in_the_same_state(fault: Callable[..., object]) -> None:
    report = await sweep(SCENARIO, (fault,), limit=POINTS)
    print(report)
    assert report.ok, report
