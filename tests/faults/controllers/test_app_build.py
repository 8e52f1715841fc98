"""AppBuild on the in-memory API server: what a user sees, and the same after every crash, stale read and error."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.controllers.app_build import observe as observing
from slipway.kube.port import Object
from tests.fakes.cluster import Ended
from tests.faults.controllers import worlds
from tests.faults.controllers.worlds import app_build, config_map, delete, get, put, ready
from tests.faults.sweep import Scenario, api_errors, crashes, lost_events, stale_reads, store_errors, sweep
from tests.faults.world import Operator, World


def app_world() -> World:
    return worlds.world("AppBuild")


@pytest.fixture(autouse=True)
def images_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """No image registry is asked: the contract tests of `slipway.images` do that."""
    monkeypatch.setattr(observing, "exists", lambda image, insecure: True)


async def settle(world: World, *actions) -> Object:
    for action in actions:
        action(world)
        await Operator(world).run_to_rest()
    return get(world, "AppBuild", "app")


LIFE = Scenario(
    "app build",
    app_world,
    (
        put(app_build()),
        put(app_build(requirements=["pandas"])),
        put(app_build()),
        put(config_map("code", {"app.py": "class Service: ...\n"})),
        delete("AppBuild", "app"),
    ),
    budget=22,
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


async def test_an_image_is_pushed_and_named_by_digest() -> None:
    world = app_world()
    build = await settle(world, put(app_build()))
    assert ready(build) == ("True", "Pushed")
    assert build["status"]["image"].startswith("registry.example.com/team/app@sha256:")
    assert build["status"]["build"]["layers"][0]["holds"] == "application"
    assert build["status"]["build"]["base"] == worlds.BASE
    assert len([call for call in world.api.calls if call.write]) <= 8


async def test_the_same_image_is_not_built_twice() -> None:
    world = app_world()
    first = await settle(world, put(app_build()))
    await settle(world, put(app_build(requirements=["pandas"])))
    again = await settle(world, put(app_build()))
    assert again["status"]["image"] == first["status"]["image"]
    assert again["status"]["build"]["reason"] == "CacheHit"
    assert len(world.api.all("Job")) == 2


async def test_an_image_that_its_registry_lost_is_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = app_world()
    first = await settle(world, put(app_build()))
    world.api.remove("AppBuild", "default", "app")
    world.cluster.settle()
    monkeypatch.setattr(observing, "exists", lambda image, insecure: image != first["status"]["image"])
    again = await settle(world, put(app_build()))
    assert ready(again) == ("True", "Pushed")
    assert again["status"]["image"] != first["status"]["image"]


async def test_changed_code_builds_again_and_says_why() -> None:
    world = app_world()
    await settle(world, put(app_build()))
    build = await settle(world, put(config_map("code", {"app.py": "class Service: ...\n"})))
    assert build["status"]["build"]["reason"] == "SourceChanged"
    assert ready(build) == ("True", "Pushed")


async def test_a_killed_pod_is_tried_again_and_then_given_up() -> None:
    world = app_world()
    world.cluster.jobs = lambda job: Ended(exit_code=1, message="disk full", log=b"copying\n")
    build = await settle(world, put(app_build(retry={"limit": 1})))
    assert ready(build) == ("False", "PodFailed")
    assert "disk full" in build["status"]["conditions"][0]["message"]
    assert build["status"]["build"]["attempt"] == 2


async def test_the_pod_may_do_nothing_but_push() -> None:
    world = app_world()
    await settle(world, put(app_build(output={"repository": "registry.example.com/team/app", "credentialsSecret": "push"})))
    pod = world.api.all("Job")[0]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert any(volume.get("secret", {}).get("secretName") == "push" for volume in pod["volumes"])
