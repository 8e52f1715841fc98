"""The past of a ModelDeployment outlives it: in the registry, through crashes, a store that is away, and a new cluster."""

from __future__ import annotations

import json

import pytest

from slipway.kube.port import Object
from slipway.reconcile.history import Recorder
from slipway.reconcile.stores import Inline
from slipway.registry.rollouts import PREFIX
from slipway.storage.port import Unavailable
from tests.fakes.scraper import Behaviour
from tests.faults.controllers.deployments import deployment_world, publish, revisions, settle
from tests.faults.controllers.test_rollout import behave, canary
from tests.faults.controllers.test_rollout_sweeps import POINTS, without_figures, world_with_a_bad_version
from tests.faults.controllers.worlds import delete, get, put, ready
from tests.faults.sweep import Scenario, crashes, store_errors, sweep
from tests.faults.world import Operator, World


def records(world: World) -> list[tuple[str, int]]:
    """What the registry keeps, oldest first."""
    return [(r.outcome, r.version) for r in reversed(world.registry().rollouts("default", "cancer"))]


def run_long(world: World, seconds: float = 120.0) -> None:
    world.clock.advance(seconds)


async def with_a_held_version() -> World:
    """Versions 1 and 2 served, 3 is held."""
    world = deployment_world()
    behave(world, v3=Behaviour(errors=0.5))
    await settle(world, publish(1), put(canary()), publish(2), publish(3))
    return world


async def test_each_promotion_and_each_version_that_is_held_is_recorded_once() -> None:
    world = await with_a_held_version()
    assert records(world) == [("Served", 1), ("Served", 2), ("Held", 3)]
    writes = [call for call in world.store.calls if call.writes and call.key.startswith(PREFIX)]
    assert len(writes) == 3
    operator = Operator(world)
    for _ in range(5):
        await operator.round()
        run_long(world)
    again = [call for call in world.store.calls if call.writes and call.key.startswith(PREFIX)]
    assert again == writes


def new_cluster(world: World) -> World:
    """Another cluster over the same registry, with the same pods' behaviour."""
    made = World(world.factories, world.settings, world.clock)
    made.store = world.store
    made.store.before = made.store.after = lambda _call: None
    behave(made, v3=Behaviour(errors=0.5))
    return made


async def test_a_new_cluster_runs_what_served_and_not_what_is_held() -> None:
    old = await with_a_held_version()
    before = get(old, "ModelDeployment", "cancer")["status"]
    world = new_cluster(old)
    seen = served_versions(world)
    found = await settle(world, put(canary()))
    status = found["status"]
    assert status["stable"]["version"] == 2
    assert status["stable"]["revision"] == before["stable"]["revision"]
    assert status["held"] == before["held"], "with its reason, and since when"
    assert ready(found) == ("False", "GateFailed")
    assert [entry["version"] for entry in status["history"]] == [2, 1]
    assert seen() == {2}, "no pod of version 3 was ever made"


def served_versions(world: World):
    """Versions for which a Deployment was made."""
    start = len(world.api.events)

    def seen() -> set[int]:
        made = [event.object for event in list(world.api.events)[start:] if event.object["kind"] == "Deployment"]
        pods = [deployment["spec"]["template"]["spec"]["containers"][0] for deployment in made]
        return {int(pod["args"][0].rpartition(":")[2]) for pod in pods}

    return seen


async def test_a_resource_that_is_made_anew_does_not_try_what_is_held_again() -> None:
    world = await with_a_held_version()
    delete("ModelDeployment", "cancer")(world)
    await Operator(world).run_to_rest()
    seen = served_versions(world)
    found = await settle(world, put(canary()))
    assert found["status"]["stable"]["version"] == 2
    assert found["status"]["held"]["version"] == 3
    assert seen() == {2}


async def test_another_spec_is_another_try_and_a_retry_is_one_too() -> None:
    old = await with_a_held_version()
    world = new_cluster(old)
    behave(world)
    found = await settle(world, put(canary(replicas=4)))
    assert found["status"]["stable"]["version"] == 3

    world = new_cluster(await with_a_held_version())
    behave(world)
    found = await settle(world, put(canary()))
    held = found["status"]["held"]
    order = {"action": "retry", "revision": held["revision"], "since": held["since"]}
    found = await settle(world, put(canary(annotations={"slipway.dev/rollout": json.dumps(order)})))
    assert found["status"]["stable"]["version"] == 3
    # It has served since: the next cluster may have it at once.
    again = new_cluster(world)
    found = await settle(again, put(canary()))
    assert found["status"]["stable"]["version"] == 3
    assert "held" not in found["status"]


async def test_a_store_that_is_away_holds_up_no_rollout_and_is_told_later() -> None:
    world = deployment_world()
    await settle(world, publish(1), put(canary()))

    def refuse(call) -> None:
        if world.operator_acts and call.key.startswith(PREFIX) and call.writes:
            raise Unavailable("503")

    world.hook_stores(refuse, lambda _call: None)
    publish(2)(world)
    operator = Operator(world)
    for _ in range(100):
        await operator.round()
        world.cluster.settle()
        run_long(world, 5)
    assert get(world, "ModelDeployment", "cancer")["status"]["stable"]["version"] == 2
    assert records(world) == [("Served", 1)]
    world.hook_stores(lambda _call: None, lambda _call: None)
    run_long(world)
    await Operator(world).round()
    assert records(world) == [("Served", 1), ("Served", 2)]


async def test_the_same_operator_tries_again_but_not_at_every_look() -> None:
    world = deployment_world()
    await settle(world, publish(1), put(canary()))
    resource = get(world, "ModelDeployment", "cancer")
    controller = world.factories["ModelDeployment"](world.deps())
    tries = []
    for key in [info.key for info in world.store.list(PREFIX)]:
        world.store.delete(key)

    def refuse(call) -> None:
        if call.key.startswith(PREFIX):
            tries.append(call)
            raise Unavailable("503")

    world.store.before = refuse
    recorder = Recorder(world.registry(), Inline(), lambda: None, world.clock)
    for _ in range(10):
        await recorder.looked(controller, resource)
    assert len(tries) == 1
    world.store.before = lambda _call: None
    run_long(world, 31)
    await recorder.looked(controller, resource)
    assert records(world) == [("Served", 1)]


async def test_a_record_that_cannot_be_read_is_passed_over() -> None:
    old = await with_a_held_version()
    key = next(info.key for info in old.store.list(PREFIX) if "-served-" in info.key)
    old.store.put(key, b"{")
    world = new_cluster(old)
    found = await settle(world, put(canary()))
    assert found["status"]["stable"]["version"] == 2
    assert found["status"]["held"]["version"] == 3


async def test_without_the_registry_nothing_is_rolled_out_that_may_be_held() -> None:
    old = await with_a_held_version()
    world = new_cluster(old)

    def refuse(call) -> None:
        if world.operator_acts and call.key.startswith(PREFIX):
            raise Unavailable("503")

    world.hook_stores(refuse, lambda _call: None)
    put(canary())(world)
    operator = Operator(world)
    for _ in range(3):
        await operator.round()
        world.clock.advance(5)
    assert revisions(world) == {}
    assert ready(get(world, "ModelDeployment", "cancer"))[1] == "StoreUnavailable"
    world.hook_stores(lambda _call: None, lambda _call: None)
    found = await settle(world, lambda _world: None)
    assert found["status"]["stable"]["version"] == 2
    assert found["status"]["held"]["version"] == 3


def anew() -> tuple:
    manifest: Object = canary(replicas=2, interval="10s", rollbackWindow="20s", steps=[{"weight": 25, "hold": "10s"}])
    return (publish(1), put(manifest), publish(2), publish(3), delete("ModelDeployment", "cancer"), put(manifest))


@pytest.mark.parametrize("fault", [crashes, store_errors])
async def test_killed_at_any_write_the_past_is_whole_and_what_is_held_stays_held(fault) -> None:
    """The registry's records are part of the state that has to be the same."""
    scenario = Scenario("made anew", world_with_a_bad_version, anew(), adjust=without_figures)
    report = await sweep(scenario, (fault,), limit=POINTS)
    print(report)
    assert report.ok, report
