"""Numbers of pods that the autoscaler decides, and budgets for drains, on the in-memory API server."""

from __future__ import annotations

import pytest

from slipway.kube.port import Object
from tests.faults.controllers import worlds
from tests.faults.controllers.deployments import deployment_world, publish, revisions, selected, settle
from tests.faults.controllers.worlds import delete, get, model_deployment, put, ready
from tests.faults.sweep import QUIET_ROUNDS, Scenario, crashes, sweep
from tests.faults.world import Operator, World

SCALING = {"min": 2, "max": 6, "targetCPUPercent": 70, "targetRequestsPerSecond": 500}
RESOURCES = {"requests": {"cpu": "100m"}}


LIFE = Scenario(
    "scaling",
    deployment_world,
    (
        publish(1),
        put(model_deployment(autoscaling=SCALING, resources=RESOURCES)),
        publish(2),
        put(model_deployment(replicas=1, resources=RESOURCES)),
        delete("ModelDeployment", "cancer"),
    ),
    budget=26,
    leaves_nothing=True,
)


async def test_killed_at_every_write_it_comes_to_the_same_end() -> None:
    report = await sweep(LIFE, (crashes,))
    print(report)
    assert report.ok, report


def scale(world: World, replicas: int) -> None:
    """As the HorizontalPodAutoscaler does it: by the scale subresource of its target."""
    target = get(world, "HorizontalPodAutoscaler", "cancer")["spec"]["scaleTargetRef"]["name"]

    def change(found: Object) -> None:
        found["spec"]["replicas"] = replicas

    world.api.edit("Deployment", "default", target, change, manager="kube-controller-manager", subresource="scale")


async def test_the_autoscaler_follows_the_stable_revision_and_is_left_alone() -> None:
    world = deployment_world()
    publish(1)(world)
    found = await settle(world, put(model_deployment(replicas=1, autoscaling=SCALING, resources=RESOURCES)))
    first = found["status"]["stable"]["revision"]
    autoscaler = get(world, "HorizontalPodAutoscaler", "cancer")
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == revisions(world)[first]["metadata"]["name"]
    assert revisions(world)[first]["spec"]["replicas"] == 2, "the least that it may be"
    scale(world, 5)
    found = await settle(world, lambda w: None)
    assert revisions(world)[first]["spec"]["replicas"] == 5
    assert ready(found) == ("True", "Serving")
    assert "5 of 5 pods" in found["status"]["conditions"][0]["message"]
    before = world.api.writes
    for _ in range(QUIET_ROUNDS):
        await Operator(world).round()
    assert world.api.writes == before


async def test_the_next_revision_takes_over_with_as_many_pods() -> None:
    world = deployment_world()
    publish(1)(world)
    await settle(world, put(model_deployment(autoscaling=SCALING, resources=RESOURCES)))
    scale(world, 4)
    found = await settle(world, lambda w: None, publish(2))
    second = found["status"]["stable"]["revision"]
    assert found["status"]["stable"]["version"] == 2
    assert selected(world) == second
    assert revisions(world)[second]["spec"]["replicas"] == 4
    target = get(world, "HorizontalPodAutoscaler", "cancer")["spec"]["scaleTargetRef"]["name"]
    assert target == revisions(world)[second]["metadata"]["name"]
    scale(world, 6)
    await settle(world, lambda w: None)
    assert revisions(world)[second]["spec"]["replicas"] == 6


async def test_a_canary_never_fights_the_autoscaler() -> None:
    """While the candidate gets its share step by step, the autoscaler changes the stable revision's pods as it likes."""
    world = deployment_world()
    steps = [{"weight": 25, "hold": "20s"}, {"weight": 50, "hold": "20s"}]
    manifest = model_deployment(autoscaling=SCALING, resources=RESOURCES, rollout={"strategy": "Canary", "steps": steps})
    publish(1)(world)
    first = (await settle(world, put(manifest)))["status"]["stable"]["revision"]
    publish(2)(world)
    operator, wanted = Operator(world), {}
    for second in range(200):
        if second in (5, 15, 30, 45):
            wanted["pods"] = {5: 4, 15: 6, 30: 3, 45: 5}[second]
            scale(world, wanted["pods"])
        await operator.round()
        world.cluster.settle()
        world.clock.advance(1.0)
        found = get(world, "ModelDeployment", "cancer")["status"]
        if found["stable"]["revision"] != first:
            break
        if wanted:
            assert revisions(world)[first]["spec"]["replicas"] == wanted["pods"], "what the autoscaler said stands"
    assert found["stable"]["version"] == 2
    assert revisions(world)[found["stable"]["revision"]]["spec"]["replicas"] == wanted["pods"]
    target = get(world, "HorizontalPodAutoscaler", "cancer")["spec"]["scaleTargetRef"]["name"]
    assert target.endswith(found["stable"]["revision"][:8])


# ---- KEDA ----

KEDA_SETTINGS = worlds.SETTINGS.model_copy(update={"prometheus_url": "http://prometheus:9090"})
SCALED = model_deployment(autoscaling=SCALING, resources=RESOURCES)


def keda_world() -> World:
    made = worlds.world("ModelDeployment")
    return World(made.factories, KEDA_SETTINGS)


KEDA_LIFE = Scenario(
    "keda",
    keda_world,
    (publish(1), put(SCALED), put(model_deployment(replicas=1)), delete("ModelDeployment", "cancer")),
    leaves_nothing=True,
)


async def test_with_keda_requests_are_scaled_by_as_prometheus_counts_them() -> None:
    world = keda_world()
    publish(1)(world)
    found = await settle(world, put(SCALED))
    first = found["status"]["stable"]["revision"]
    spec = get(world, "ScaledObject", "cancer")["spec"]
    deployment = revisions(world)[first]["metadata"]["name"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 6)
    requests, cpu = spec["triggers"]
    assert requests["metadata"]["serverAddress"] == "http://prometheus:9090"
    assert requests["metadata"]["threshold"] == "500"
    assert requests["metricType"] == "AverageValue"
    assert deployment in requests["metadata"]["query"].replace("\\", "")
    assert cpu == {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}
    assert world.api.all("HorizontalPodAutoscaler") == [], "KEDA makes its own"
    before = world.api.writes
    for _ in range(QUIET_ROUNDS):
        await Operator(world).round()
    assert world.api.writes == before
    found = await settle(world, publish(2))
    second = revisions(world)[found["status"]["stable"]["revision"]]["metadata"]["name"]
    spec = get(world, "ScaledObject", "cancer")["spec"]
    assert spec["scaleTargetRef"]["name"] == second
    assert second in spec["triggers"][0]["metadata"]["query"].replace("\\", "")


@pytest.mark.parametrize("without", ["the kind", "a Prometheus", "requests"])
async def test_without_keda_or_its_need_the_horizontal_pod_autoscaler_does_it(without: str) -> None:
    world = worlds.world("ModelDeployment") if without == "a Prometheus" else keda_world()
    if without == "the kind":
        world.api.missing_kinds.add("ScaledObject")
    scaling = {"min": 2, "max": 6, "targetCPUPercent": 70} if without == "requests" else SCALING
    publish(1)(world)
    await settle(world, put(model_deployment(autoscaling=scaling, resources=RESOURCES)))
    assert get(world, "HorizontalPodAutoscaler", "cancer")
    if without != "the kind":
        assert world.api.all("ScaledObject") == []


async def test_two_autoscalers_are_never_there_at_once() -> None:
    world = keda_world()
    world.api.missing_kinds.add("ScaledObject")
    publish(1)(world)
    await settle(world, put(SCALED))
    world.api.missing_kinds.clear()
    start = len(world.api.calls)
    await settle(world, lambda _world: None)
    await settle(world, put(model_deployment(autoscaling={"min": 1, "max": 3, "targetCPUPercent": 50}, resources=RESOURCES)))
    writes = [
        str(call) for call in world.api.calls[start:] if call.write and ("Autoscaler" in str(call) or "Scaled" in str(call))
    ]
    assert [" ".join(words.split()[:2]) for words in writes] == [
        "delete HorizontalPodAutoscaler",
        "apply ScaledObject",
        "delete ScaledObject",
        "apply HorizontalPodAutoscaler",
    ]


async def test_keda_killed_at_every_write_it_comes_to_the_same_end() -> None:
    report = await sweep(KEDA_LIFE, (crashes,))
    print(report)
    assert report.ok, report


async def test_two_replicas_have_a_budget_and_one_has_none() -> None:
    world = deployment_world()
    publish(1)(world)
    await settle(world, put(model_deployment(replicas=2)))
    budget = get(world, "PodDisruptionBudget", "cancer")
    assert budget["spec"]["maxUnavailable"] == 1
    pods = world.api.all("Pod")
    wanted = budget["spec"]["selector"]["matchLabels"].items()
    assert pods and all(wanted <= pod["metadata"]["labels"].items() for pod in pods)
    await settle(world, put(model_deployment(replicas=1)))
    assert world.api.all("PodDisruptionBudget") == []


async def test_without_autoscaling_the_number_is_that_of_spec_again() -> None:
    world = deployment_world()
    publish(1)(world)
    await settle(world, put(model_deployment(replicas=3, autoscaling=SCALING, resources=RESOURCES)))
    scale(world, 6)
    found = await settle(world, lambda w: None, put(model_deployment(replicas=3, resources=RESOURCES)))
    assert world.api.all("HorizontalPodAutoscaler") == []
    assert revisions(world)[found["status"]["stable"]["revision"]]["spec"]["replicas"] == 3


async def test_pods_are_spread_over_nodes() -> None:
    world = deployment_world()
    publish(1)(world)
    await settle(world, put(model_deployment()))
    (deployment,) = world.api.all("Deployment")
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [entry["topologyKey"] for entry in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
