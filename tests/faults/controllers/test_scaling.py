"""Numbers of pods that the autoscaler decides, and budgets for drains, on the in-memory API server."""

from __future__ import annotations

from slipway.kube.port import Object
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
