"""ModelDeployment on the in-memory API server: what a user sees, and the same after every crash, stale read and error."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.kube.port import Object
from tests.fakes.cluster import Serving, Waiting
from tests.faults.controllers import worlds
from tests.faults.controllers.deployments import MODEL, REVISION, deployment_world, publish, revisions, selected, settle
from tests.faults.controllers.worlds import delete, get, model_deployment, put, ready
from tests.faults.sweep import Scenario, api_errors, crashes, lost_events, stale_reads, store_errors, sweep
from tests.faults.world import Operator

LIFE = Scenario(
    "model deployment",
    deployment_world,
    (
        put(model_deployment()),
        publish(1),
        publish(2),
        put(model_deployment(replicas=3)),
        publish(1),
        delete("ModelDeployment", "cancer"),
    ),
    budget=32,
    leaves_nothing=True,
)


async def test_every_crash_ends_in_the_same_state() -> None:
    report = await sweep(LIFE, (crashes,))
    print(report)
    assert report.ok, report


@pytest.mark.parametrize("fault", [api_errors, store_errors, stale_reads, lost_events])
async def test_every_other_fault_ends_in_the_same_state(fault: Callable[..., object]) -> None:
    report = await sweep(LIFE, (fault,), limit=worlds.points_of_a_kind())
    print(report)
    assert report.ok, report


async def test_a_version_is_served_when_it_is_ready() -> None:
    world = deployment_world()
    publish(1)(world)
    found = await settle(world, put(model_deployment()))
    assert ready(found) == ("True", "Serving")
    assert found["status"]["stable"]["version"] == 1
    assert found["status"]["url"] == "http://cancer.default.svc:8080"
    assert selected(world) == found["status"]["stable"]["revision"]
    (pin,) = world.registry().pins()
    assert pin.versions == ("default/cancer:1",)
    assert pin.images == (found["status"]["stable"]["image"],), "lineage shows in what a version runs"


async def test_pods_are_pinned_by_digest_and_restricted() -> None:
    world = deployment_world()
    publish(1)(world)
    await settle(world, put(model_deployment()))
    (deployment,) = world.api.all("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert "@sha256:" in container["image"]
    record = world.registry().get(MODEL, 1)
    assert f"--digest={record.digest}" in container["args"]
    assert "--model=default/cancer:1" in container["args"]
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


async def test_a_moved_alias_rolls_over_and_leaves_one_deployment() -> None:
    world = deployment_world()
    publish(1)(world)
    before = await settle(world, put(model_deployment()))
    found = await settle(world, publish(2))
    assert found["status"]["stable"]["version"] == 2
    assert found["status"]["history"][0]["version"] == 1
    assert found["status"]["history"][0]["revision"] == before["status"]["stable"]["revision"]
    assert list(revisions(world)) == [selected(world)]


async def test_the_stable_revision_serves_until_the_candidate_is_ready() -> None:
    world = deployment_world()
    publish(1)(world)
    found = await settle(world, put(model_deployment()))
    first = found["status"]["stable"]["revision"]
    world.cluster.deployments = lambda d: Serving() if d["metadata"]["labels"][REVISION] == first else Serving(ready=1)
    publish(2)(world)
    await Operator(world).round()
    world.cluster.settle()
    await Operator(world).round()
    found = get(world, "ModelDeployment", "cancer")
    assert ready(found) == ("False", "CandidateStarting")
    assert found["status"]["candidate"]["version"] == 2
    assert selected(world) == first, "one ready pod of two is not enough to take over"
    assert len(revisions(world)) == 2


async def test_a_candidate_that_never_gets_ready_is_held_and_the_stable_one_serves() -> None:
    world = deployment_world()
    publish(1)(world)
    found = await settle(world, put(model_deployment(progressDeadlineSeconds=60)))
    first = found["status"]["stable"]["revision"]
    bad = Serving(ready=0, waiting=Waiting("CrashLoopBackOff"), restarts=3, message="digest differs")
    world.cluster.deployments = lambda d: Serving() if d["metadata"]["labels"][REVISION] == first else bad
    found = await settle(world, publish(2))
    assert ready(found) == ("False", "CandidateFailed")
    assert found["status"]["held"]["version"] == 2
    assert "digest differs" in found["status"]["held"]["message"]
    assert selected(world) == first
    assert list(revisions(world)) == [first]
    available = next(c for c in found["status"]["conditions"] if c["type"] == "Available")
    assert available["status"] == "True"
    world.cluster.deployments = lambda d: Serving()
    found = await settle(world, lambda w: None)
    assert found["status"]["held"]["version"] == 2, "what failed is not tried again by itself"
    found = await settle(world, publish(3))
    assert found["status"]["stable"]["version"] == 3
    assert "held" not in found["status"]


async def test_a_new_spec_tries_a_held_version_again() -> None:
    world = deployment_world()
    publish(1)(world)
    found = await settle(world, put(model_deployment(progressDeadlineSeconds=60)))
    first = found["status"]["stable"]["revision"]
    world.cluster.deployments = lambda d: Serving() if d["metadata"]["labels"][REVISION] == first else Serving(ready=0)
    await settle(world, publish(2))
    world.cluster.deployments = lambda d: Serving()
    found = await settle(world, put(model_deployment(progressDeadlineSeconds=61)))
    assert found["status"]["stable"]["version"] == 2


async def test_the_alias_moved_back_in_the_middle_drops_the_candidate() -> None:
    world = deployment_world()
    publish(1)(world)
    found = await settle(world, put(model_deployment()))
    first = found["status"]["stable"]["revision"]
    world.cluster.deployments = lambda d: Serving() if d["metadata"]["labels"][REVISION] == first else Serving(ready=0)
    publish(2)(world)
    await Operator(world).round()
    world.cluster.settle()
    found = await settle(world, publish(1))
    assert ready(found) == ("True", "Serving")
    assert list(revisions(world)) == [first]
    assert "candidate" not in found["status"]


async def test_a_first_version_that_fails_says_why_and_heals() -> None:
    world = deployment_world()
    publish(1)(world)
    world.cluster.deployments = lambda d: Serving(ready=0, waiting=Waiting("ImagePullBackOff", "not found"))
    found = await settle(world, put(model_deployment(progressDeadlineSeconds=60)))
    assert ready(found)[0] == "False"
    assert "not found" in found["status"]["conditions"][0]["message"]
    world.cluster.deployments = lambda d: Serving()
    found = await settle(world, lambda w: None)
    assert ready(found) == ("True", "Serving")


async def test_missing_model_alias_and_version_are_named_and_heal() -> None:
    world = deployment_world()
    found = await settle(world, put(model_deployment()))
    assert ready(found) == ("False", "ModelNotFound")
    found = await settle(world, publish(1, alias=None))
    assert ready(found) == ("False", "AliasNotFound")
    found = await settle(world, put(model_deployment(model={"name": "cancer", "version": 9})))
    assert ready(found) == ("False", "VersionNotFound")
    found = await settle(world, put(model_deployment(model={"name": "cancer", "version": 1})))
    assert ready(found) == ("True", "Serving")


async def test_another_namespace_needs_a_grant() -> None:
    world = deployment_world()
    found = await settle(world, put(model_deployment(model={"name": "other/cancer", "version": 1})))
    assert ready(found) == ("False", "NotPermitted")


async def test_an_app_build_gives_the_image() -> None:
    world = worlds.world("ModelDeployment", "AppBuild")
    publish(1)(world)
    found = await settle(world, put(model_deployment(app={"name": "app"})))
    assert ready(found) == ("False", "AppBuildNotFound")
    found = await settle(world, put(worlds.app_build(entrypoint="app:Service")))
    assert ready(found) == ("True", "Serving")
    (deployment,) = world.api.all("Deployment")
    image = get(world, "AppBuild", "app")["status"]["image"]
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == image


async def test_no_replicas_is_what_was_asked_for() -> None:
    world = deployment_world()
    publish(1)(world)
    found = await settle(world, put(model_deployment(replicas=0)))
    assert ready(found) == ("True", "NoReplicas")
    found = await settle(world, put(model_deployment(replicas=1)))
    assert ready(found) == ("True", "Serving")


async def test_an_operator_with_other_defaults_restarts_no_pod() -> None:
    world = deployment_world()
    publish(1)(world)
    await settle(world, put(model_deployment()))
    (before,) = world.api.all("Deployment")
    world.settings = world.settings.model_copy(update={"store_region": "elsewhere", "store_secret": "other"})
    await settle(world, lambda w: None)
    await settle(world, put(model_deployment(replicas=3)))
    (after,) = world.api.all("Deployment")
    assert after["spec"]["replicas"] == 3
    assert after["spec"]["template"] == before["spec"]["template"]


async def test_what_others_change_in_a_child_is_put_right() -> None:
    world = deployment_world()
    publish(1)(world)
    await settle(world, put(model_deployment()))
    name = world.api.all("Deployment")[0]["metadata"]["name"]

    def scale(current: Object) -> None:
        current["spec"]["replicas"] = 7

    world.api.edit("Deployment", "default", name, scale)
    await settle(world, lambda w: None)
    assert get(world, "Deployment", name)["spec"]["replicas"] == 2


async def test_deletion_leaves_no_pin() -> None:
    world = deployment_world()
    publish(1)(world)
    await settle(world, put(model_deployment()))
    operator = Operator(world)
    delete("ModelDeployment", "cancer")(world)
    await operator.run_to_rest()
    assert world.registry().pins() == []
    assert world.api.all("Deployment") == []
    assert world.api.all("Service") == []
