"""Exact weights by Gateway API on the in-memory API server: what a user sees, and the same after every crash."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from slipway.kube.port import Object
from tests.fakes.cluster import Serving
from tests.fakes.gateway import answer, silent
from tests.fakes.objects import WatchEvent
from tests.fakes.scraper import Behaviour
from tests.faults.controllers.deployments import REVISION, deployment_world, publish, revisions, selected, settle
from tests.faults.controllers.test_rollout import ERRORS, behave, until
from tests.faults.controllers.test_rollout_sweeps import without_figures, world_with_a_bad_version
from tests.faults.controllers.worlds import delete, get, model_deployment, put, ready
from tests.faults.sweep import QUIET_ROUNDS, Scenario, api_errors, crashes, lost_events, stale_reads, store_errors, sweep
from tests.faults.world import Operator, World

POINTS = None if os.environ.get("SLIPWAY_SWEEP") == "all" else 6
STEPS = [{"weight": 25, "hold": "30s"}, {"weight": 50, "hold": "30s"}]
GATEWAY = {"gateway": {"parentRefs": [{"name": "web", "namespace": "infra"}], "hostnames": ["cancer.example.com"]}}


def routed(replicas: int = 2, traffic: Any = GATEWAY, **rollout: Any) -> Object:
    return model_deployment(
        replicas=replicas, rollout={"strategy": "Canary", "steps": STEPS, "gates": [ERRORS]} | rollout, traffic=traffic
    )


def weights(world: World) -> dict[str, int]:
    """What the route gives each backend, by the revision that its Service selects."""
    (rule,) = get(world, "HTTPRoute", "cancer")["spec"]["rules"]
    found: dict[str, int] = {}
    for backend in rule["backendRefs"]:
        revision = get(world, "Service", backend["name"])["spec"]["selector"][REVISION]
        found[revision] = found.get(revision, 0) + backend["weight"]
    return found


async def served(world: World, manifest: Object) -> str:
    publish(1)(world)
    found = await settle(world, put(manifest))
    assert ready(found) == ("True", "Serving")
    return str(found["status"]["stable"]["revision"])


async def test_weights_are_exact_with_two_replicas_and_the_service_stays_with_stable() -> None:
    world = deployment_world()
    first = await served(world, routed())
    route = get(world, "HTTPRoute", "cancer")
    assert route["spec"]["hostnames"] == ["cancer.example.com"]
    assert route["spec"]["parentRefs"][0]["name"] == "web"
    assert weights(world) == {first: 100}
    publish(2)(world)
    found = await until(world, step=0, weight=25)
    second = found["status"]["candidate"]["revision"]
    assert weights(world) == {first: 75, second: 25}
    assert selected(world) == first, "clients of the Service keep the stable one"
    assert {name: d["spec"]["replicas"] for name, d in revisions(world).items()} == {first: 2, second: 1}
    assert ready(found) == ("False", "CandidateProgressing")
    assert "about" not in found["status"]["conditions"][0]["message"], "nothing was rounded"
    await until(world, step=1, weight=50)
    assert weights(world) == {first: 50, second: 50}
    found = await settle(world, lambda w: None)
    assert ready(found) == ("True", "Serving")
    assert weights(world) == {second: 100}
    assert selected(world) == second


async def test_the_candidate_is_known_to_the_gateway_before_its_first_request() -> None:
    world = deployment_world()
    first = await served(world, routed())
    world.cluster.routes = lambda route: answer(route, lag=1 if len(route["spec"]["rules"][0]["backendRefs"]) == 2 else 0)
    publish(2)(world)
    found = await until(world, reason="RoutePending")
    second = found["status"]["candidate"]["revision"]
    for _ in range(5):
        await Operator(world).round()
        world.cluster.settle()
        assert weights(world) == {first: 100, second: 0}
    world.cluster.routes = answer
    await until(world, step=0, weight=25)


async def test_weights_wait_for_ready_pods() -> None:
    world = deployment_world()
    first = await served(world, routed(replicas=4, steps=[{"weight": 25}, {"weight": 75}]))
    world.cluster.deployments = lambda d: Serving() if d["metadata"]["labels"][REVISION] == first else Serving(ready=1)
    publish(2)(world)
    found = await until(world, step=1)
    second = found["status"]["candidate"]["revision"]
    for _ in range(5):
        await Operator(world).round()
        world.cluster.settle()
        world.clock.advance(1.0)
    assert revisions(world)[second]["spec"]["replicas"] == 3
    assert weights(world) == {first: 75, second: 25}, "three pods are wanted for 75 %, one is there"
    world.cluster.deployments = lambda _d: Serving()
    await until(world, step=1, weight=75)
    assert weights(world)[second] == 75


async def test_a_bad_candidate_loses_its_weight_and_is_held() -> None:
    world = deployment_world()
    first = await served(world, routed())
    behave(world, v2=Behaviour(errors=0.5))
    publish(2)(world)
    await until(world, step=0, weight=25)
    found = await settle(world, lambda w: None)
    assert ready(found) == ("False", "GateFailed")
    assert weights(world) == {first: 100}
    assert [s["metadata"]["name"] for s in world.api.all("Service")] == ["cancer"], "the candidate's own went with it"


async def test_without_gateway_api_stable_serves_and_the_condition_says_so() -> None:
    world = deployment_world()
    world.api.missing_kinds.add("HTTPRoute")
    publish(1)(world)
    found = await settle(world, put(routed()))
    assert ready(found) == ("False", "GatewayMissing")
    assert "install Gateway API" in found["status"]["conditions"][0]["message"]
    available = next(c for c in found["status"]["conditions"] if c["type"] == "Available")
    assert available["status"] == "True"
    first = found["status"]["stable"]["revision"]
    found = await settle(world, publish(2))
    assert ready(found) == ("False", "GatewayMissing")
    assert selected(world) == first
    assert "step" not in found["status"]["candidate"]
    world.api.missing_kinds.clear()
    found = await settle(world, lambda w: None)
    assert ready(found) == ("True", "Serving")
    assert found["status"]["stable"]["version"] == 2


async def test_deletion_does_not_wait_for_a_kind_that_is_missing() -> None:
    world = deployment_world()
    world.api.missing_kinds.add("HTTPRoute")
    publish(1)(world)
    put(routed())(world)
    await Operator(world).run_to_rest()
    delete("ModelDeployment", "cancer")(world)
    await Operator(world).run_to_rest()
    assert world.api.all("Deployment") == []
    assert world.api.peek("ModelDeployment", "default", "cancer") is None


async def test_a_gateway_that_is_not_there_is_named() -> None:
    world = deployment_world()
    world.cluster.routes = silent
    publish(1)(world)
    found = await settle(world, put(routed()))
    assert ready(found) == ("False", "GatewayMissing")
    assert "infra/web" in found["status"]["conditions"][0]["message"]


async def test_a_route_that_is_refused_says_why_and_heals() -> None:
    world = deployment_world()
    first = await served(world, routed())
    world.cluster.routes = lambda route: answer(
        route, refused="NotAllowedByListeners", message="namespace default is not allowed"
    )
    found = await settle(world, publish(2))
    assert ready(found) == ("False", "RouteRefused")
    assert "NotAllowedByListeners: namespace default is not allowed" in found["status"]["conditions"][0]["message"]
    assert weights(world)[first] == 100
    world.cluster.routes = lambda route: answer(route, unresolved="BackendNotFound")
    found = await settle(world, lambda w: None)
    assert "BackendNotFound" in found["status"]["conditions"][0]["message"]
    world.cluster.routes = answer
    found = await settle(world, lambda w: None)
    assert found["status"]["stable"]["version"] == 2


async def test_a_gateway_that_goes_away_stops_the_rollout_and_not_the_way_back() -> None:
    world = deployment_world()
    first = await served(world, routed())
    behave(world, v2=Behaviour(rate=0.0))
    publish(2)(world)
    await until(world, step=0, weight=25)
    world.cluster.routes = lambda _route: {"parents": []}
    found = await until(world, reason="GatewayMissing")
    assert found["status"]["candidate"]["step"] == 0
    behave(world, v2=Behaviour(errors=0.5))
    found = await settle(world, lambda w: None)
    assert found["status"]["held"]["version"] == 2
    assert weights(world) == {first: 100}


async def test_nothing_is_written_when_nothing_changed_and_no_event_of_the_route_is_needed() -> None:
    def without_routes(_first: int, events: list[WatchEvent]) -> list[WatchEvent]:
        return [event for event in events if event.object["kind"] != "HTTPRoute"]

    world = deployment_world()
    for action in (publish(1), put(routed()), publish(2)):
        action(world)
        await Operator(world, without_routes).run_to_rest()
    assert get(world, "ModelDeployment", "cancer")["status"]["stable"]["version"] == 2
    before = world.api.writes
    for _ in range(QUIET_ROUNDS):
        await Operator(world, without_routes).round()
        world.clock.advance(30.0)
    assert world.api.writes == before


async def test_the_route_goes_when_spec_asks_for_none_in_the_middle_too() -> None:
    world = deployment_world()
    await served(world, routed())
    behave(world, v2=Behaviour(rate=0.0))
    publish(2)(world)
    await until(world, step=0, weight=25)
    put(routed(traffic={}))(world)
    await until(world, step=0, weight=25)
    assert world.api.all("HTTPRoute") == []
    assert REVISION not in get(world, "Service", "cancer")["spec"]["selector"], "by numbers of pods from here on"
    behave(world)
    found = await settle(world, lambda w: None)
    assert found["status"]["stable"]["version"] == 2


async def test_somebody_elses_route_is_left_alone() -> None:
    world = deployment_world()
    theirs = {"parentRefs": [{"name": "web"}], "rules": [{"backendRefs": [{"name": "shop", "port": 80}]}]}
    meta = {"name": "cancer", "namespace": "default"}
    world.api.make({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": meta, "spec": theirs})
    publish(1)(world)
    found = await settle(world, put(routed()))
    assert ready(found)[1] == "NameTaken"
    assert get(world, "HTTPRoute", "cancer")["spec"]["rules"][0]["backendRefs"][0]["name"] == "shop"


async def test_blue_green_needs_no_weights_and_a_route_all_the_same() -> None:
    world = deployment_world()
    publish(1)(world)
    await settle(world, put(model_deployment(rollout={"strategy": "BlueGreen"}, traffic=GATEWAY)))
    found = await settle(world, publish(2))
    assert weights(world) == {found["status"]["stable"]["revision"]: 100}


ROLLOUT = Scenario(
    "gateway",
    world_with_a_bad_version,
    (
        publish(1),
        put(routed(steps=[{"weight": 25, "hold": "10s"}], rollbackWindow="10s", interval="10s")),
        publish(2),
        publish(3),
        delete("ModelDeployment", "cancer"),
    ),
    budget=55,
    leaves_nothing=True,
    adjust=without_figures,
)
LIFE = Scenario(
    "a gateway and none",
    world_with_a_bad_version,
    (publish(1), put(routed()), put(routed(traffic={})), delete("ModelDeployment", "cancer")),
    budget=20,
    leaves_nothing=True,
)


@pytest.mark.parametrize("scenario", [ROLLOUT, LIFE], ids=lambda scenario: scenario.name)
async def test_killed_at_every_write_it_comes_to_the_same_end(scenario: Scenario) -> None:
    report = await sweep(scenario, (crashes,))
    print(report)
    assert report.ok, report


@pytest.mark.parametrize("fault", [api_errors, store_errors, stale_reads, lost_events])
async def test_other_faults_end_in_the_same_state(fault: Callable[..., object]) -> None:
    report = await sweep(ROLLOUT, (fault,), limit=POINTS)
    print(report)
    assert report.ok, report
