"""AppBuild on the in-memory API server: what a user sees, and the same after every crash, stale read and error."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.controllers.app_build import observe as observing
from slipway.images.contract import AppBuildRequest, PreviousBuild
from slipway.images.errors import RegistryUnavailable
from slipway.kube.port import Object
from tests.fakes.cluster import Ended
from tests.faults.controllers import worlds
from tests.faults.controllers.worlds import app_build, config_map, delete, get, put, ready
from tests.faults.sweep import Scenario, api_errors, crashes, lost_events, stale_reads, store_errors, sweep
from tests.faults.world import Operator, World


def app_world() -> World:
    return worlds.world("AppBuild")


MOVING = "registry.example.com/slipway/serving:stable"
OLD, NEW = (f"registry.example.com/slipway/serving@sha256:{digit * 64}" for digit in "de")


@pytest.fixture(autouse=True)
def images_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """No image registry is asked: the contract tests of `slipway.images` do that. The tag `MOVING` names what the ConfigMap
    ``tags`` says, so that moving it is an action like any other."""
    monkeypatch.setattr(observing, "exists", lambda image, insecure: True)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What tags name."""
    tags = {MOVING: OLD}
    monkeypatch.setattr(observing, "pin", lambda image, insecure: tags.get(image, image))
    return tags


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


async def test_a_new_base_swaps_the_base_and_says_why(registry: dict[str, str]) -> None:
    world = app_world()
    on_tag = app_build(base={"image": MOVING})
    first = await settle(world, put(on_tag))
    assert first["status"]["build"]["base"] == OLD
    registry[MOVING] = NEW
    world.api.remove("ConfigMap", "default", "code")
    second = await settle(world, lambda _world: None)
    assert second["status"]["build"]["reason"] == "BaseChanged"
    assert second["status"]["build"]["base"] == NEW
    assert ready(second) == ("True", "Pushed"), "the source as it was is enough"
    request = world.registry().read_request(second["status"]["build"]["id"], 1, AppBuildRequest)
    assert request is not None
    assert request.previous == PreviousBuild(build_id=first["status"]["build"]["id"], attempt=1)
    writes = len([call for call in world.api.calls if call.write])
    await settle(world, lambda _world: None)
    assert len([call for call in world.api.calls if call.write]) == writes, "it does not loop"


async def test_a_base_that_moves_back_is_found_again(registry: dict[str, str]) -> None:
    world = app_world()
    first = await settle(world, put(app_build(base={"image": MOVING})))
    for image in (NEW, OLD):
        registry[MOVING] = image
        last = await settle(world, lambda _world: None)
    assert last["status"]["image"] == first["status"]["image"]
    assert last["status"]["build"]["reason"] == "CacheHit"
    assert len(world.api.all("Job")) == 2
    registry[MOVING] = NEW
    again = await settle(world, lambda _world: None)
    assert again["status"]["build"]["base"] == NEW


async def test_a_new_base_waits_for_another_reason_when_rebase_is_off(registry: dict[str, str]) -> None:
    world = app_world()
    await settle(world, put(app_build(base={"image": MOVING}, rebase="Never")))
    registry[MOVING] = NEW
    same = await settle(world, lambda _world: None)
    assert same["status"]["build"]["base"] == OLD
    changed = await settle(world, put(app_build(base={"image": MOVING}, rebase="Never", requirements=["pandas"])))
    assert changed["status"]["build"]["base"] == NEW
    assert changed["status"]["build"]["reason"] == "RequirementsChanged"


async def test_a_registry_that_cannot_be_asked_leaves_an_image_alone(
    registry: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = app_world()
    first = await settle(world, put(app_build(base={"image": MOVING})))

    def down(image: str, insecure: object) -> str:
        raise RegistryUnavailable("registry registry.example.com cannot be reached")

    monkeypatch.setattr(observing, "pin", down)
    assert (await settle(world, lambda _world: None))["status"] == first["status"]


async def test_every_crash_during_a_rebase_ends_in_the_same_state(monkeypatch: pytest.MonkeyPatch) -> None:
    current: list[World] = []

    def begin() -> World:
        current[:] = [app_world()]
        current[0].api.make(config_map("tags", {"stable": OLD}))
        return current[0]

    def pin(image: str, insecure: object) -> str:
        tags = current[0].api.peek("ConfigMap", "default", "tags")
        return str(tags["data"]["stable"]) if tags and image == MOVING else image

    monkeypatch.setattr(observing, "pin", pin)
    life = Scenario(
        "rebase",
        begin,
        (put(app_build(base={"image": MOVING})), put(config_map("tags", {"stable": NEW}))),
        budget=14,
    )
    report = await sweep(life, (crashes,))
    assert report.ok, report


async def test_what_heals_by_itself_is_never_given_up() -> None:
    world = app_world()
    world.cluster.jobs = worlds.fail(world, "SecretMissing", "there is no Secret push")
    build = await settle(world, put(app_build(retry={"limit": 0})))
    assert ready(build) == ("False", "SecretMissing")
    assert build["status"]["build"]["retryAfter"]
    world.cluster.jobs = worlds.pods(world)
    world.clock.advance(700)
    healed = await settle(world, lambda _world: None)
    assert ready(healed) == ("True", "Pushed")


async def test_an_index_that_did_not_answer_keeps_its_own_reason() -> None:
    world = app_world()
    world.cluster.jobs = worlds.fail(world, "IndexUnavailable")
    assert ready(await settle(world, put(app_build(retry={"limit": 0})))) == ("False", "IndexUnavailable")


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
