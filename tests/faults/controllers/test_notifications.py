"""What the webhook is told over whole lives: each change once, and none lost when the operator is killed at any write."""

from __future__ import annotations

import json
import re
from pathlib import Path

from slipway.controllers.model_build import notices as of_model_builds
from slipway.controllers.model_deployment import notices as of_deployments
from slipway.controllers.shared import notices as runs
from slipway.kube.port import Object
from slipway.reconcile.contract import Key
from slipway.reconcile.webhook import Webhook
from slipway.training import contract
from tests.fakes.scraper import Behaviour
from tests.faults.controllers import worlds
from tests.faults.controllers.deployments import deployment_world, publish
from tests.faults.controllers.test_rollout import behave, canary
from tests.faults.controllers.test_rollout_sweeps import POINTS, world_with_a_bad_version
from tests.faults.controllers.worlds import model_build, model_deployment, put
from tests.faults.sweep import Scenario, crashes, sweep
from tests.faults.world import Operator, World


class Receiver(Webhook):
    """Takes events at once and keeps them in a bucket of the world, so that they outlive an operator."""

    def __init__(self, world: World) -> None:
        super().__init__("http://receiver.example.com", clock=world.clock)
        self._bucket = world.bucket("told")
        self.order: list[str] = []

    def _put(self, key: Key, event) -> None:
        data = event.get_data()
        words = [event.get_type().removeprefix("dev.slipway.").removesuffix(".v1"), str(data.get("version", ""))]
        words += [f"step{data['step']}"] if "step" in data else []
        words += [f"attempt{data['attempt']}"] if "attempt" in data else []
        name = " ".join(word for word in words if word)
        self.order.append(name)
        body = json.dumps({"type": event.get_type(), "reason": data.get("reason"), "name": data["name"]}).encode()
        self._bucket.put(name.replace(" ", "/"), body)


def listening(world: World) -> Receiver:
    receiver = Receiver(world)
    world.listeners = lambda: (receiver,)
    return receiver


async def told(world: World, *actions) -> list[str]:
    """What one operator tells while users do `actions`."""
    receiver = listening(world)
    for action in actions:
        action(world)
        await Operator(world).run_to_rest()
    return receiver.order


async def test_a_canary_from_start_to_promotion() -> None:
    manifest = canary()
    events = await told(deployment_world(), publish(1), put(manifest), publish(2))
    assert events == [
        "modeldeployment.rollout-started 1",
        "modeldeployment.promoted 1",
        "modeldeployment.rollout-started 2",
        "modeldeployment.step-begun 2 step1",
        "modeldeployment.step-begun 2 step2",
        "modeldeployment.promoted 2",
    ]


async def test_a_bad_candidate_is_told_to_be_held_and_a_failed_watch_to_be_taken_back() -> None:
    world = deployment_world()
    behave(world, v2=Behaviour(errors=0.5))
    events = await told(world, publish(1), put(canary()), publish(2))
    assert events[-1] == "modeldeployment.held 2"
    assert events.count("modeldeployment.held 2") == 1

    world = deployment_world()
    manifest = model_deployment(
        rollout={"strategy": "BlueGreen", "watch": {"for": "60s", "gates": canary()["spec"]["rollout"]["gates"]}}
    )
    behave(world, v2=Behaviour(errors=0.5))
    events = await told(world, publish(1), put(manifest), publish(2))
    assert "modeldeployment.promoted 2" in events
    assert "modeldeployment.held 2" in events
    assert "modeldeployment.rolled-back 1" in events


async def test_an_alias_that_is_moved_back_is_a_way_back() -> None:
    events = await told(deployment_world(), publish(1), put(model_deployment()), publish(2), publish(1))
    assert events[-1] == "modeldeployment.rolled-back 1"


async def test_what_waits_for_a_person() -> None:
    world = deployment_world()
    events = await told(world, publish(1), put(canary(approval="Manual")), publish(2))
    assert events[-1] == "modeldeployment.approval-needed 2"
    events = await told(worlds.world("ModelBuild"), put(model_build(promotion={"alias": "champion", "approval": "Manual"})))
    assert events[-1] == "modelbuild.approval-needed 1"


async def test_a_build_its_version_and_its_promotion() -> None:
    events = await told(worlds.world("ModelBuild", "AppBuild"), put(model_build()), put(worlds.app_build()))
    assert events == [
        "modelbuild.build-started attempt1",
        "modelbuild.build-succeeded 1 attempt1",
        "modelbuild.version-registered 1",
        "modelbuild.version-promoted 1",
        "appbuild.build-started attempt1",
        "appbuild.build-succeeded attempt1",
    ]


async def test_a_build_that_fails_and_one_whose_gates_fail() -> None:
    world = worlds.world("ModelBuild")
    world.cluster.jobs = worlds.fail(world, contract.TRAINING_FAILED)
    events = await told(world, put(model_build(retries=0)))
    assert "modelbuild.build-failed attempt1" in events
    assert not [name for name in events if "version" in name]
    world = worlds.world("ModelBuild")
    world.cluster.jobs = worlds.pods(world, auc=0.5)
    assert (await told(world, put(model_build())))[-1] == "modelbuild.version-refused 1"


async def test_a_new_operator_tells_nothing_of_long_ago() -> None:
    world = deployment_world()
    await told(world, publish(1), put(canary()), publish(2))
    world.clock.advance(3600)
    assert await told(world, lambda _world: None) == []


async def test_what_was_told_is_told_again_under_the_same_id_only() -> None:
    """A status that is written again, with other figures, tells nothing."""
    world = deployment_world()
    receiver = listening(world)
    publish(1)(world)
    put(canary())(world)
    operator = Operator(world)
    await operator.run_to_rest()
    before = list(receiver.order)
    for _ in range(5):
        world.clock.advance(30)
        await operator.round()
    assert receiver.order == before


def canary_world() -> World:
    world = world_with_a_bad_version()
    world.listeners = lambda: (Receiver(world),)
    return world


def build_world() -> World:
    world = worlds.world("ModelBuild")
    world.listeners = lambda: (Receiver(world),)
    return world


def retrained() -> Object:
    return model_build(trainer={"entrypoint": "train:main", "params": {"C": 0.4}})


async def test_killed_at_every_write_no_event_is_lost() -> None:
    """The bucket of what the receiver has got is part of the state that has to be the same."""
    manifest = model_deployment(
        replicas=2,
        rollout={
            "strategy": "Canary",
            "interval": "10s",
            "rollbackWindow": "20s",
            "steps": [{"weight": 25, "hold": "10s"}],
            "gates": canary()["spec"]["rollout"]["gates"],
        },
    )
    for scenario in (
        Scenario("canary", canary_world, (publish(1), put(manifest), publish(2), publish(3)), adjust=only_what_was_told),
        Scenario("build", build_world, (put(model_build()), put(retrained())), adjust=only_what_was_told),
    ):
        report = await sweep(scenario, (crashes,), limit=POINTS)
        print(report)
        assert report.ok, report


def only_what_was_told(state):
    return state["told"]


def test_the_page_lists_every_type_and_no_other() -> None:
    page = (Path(__file__).parents[3] / "docs/notifications.md").read_text()
    listed = set(re.findall(r"`((?:modelbuild|appbuild|modeldeployment)\.[a-z-]+)`", page))
    of_builds = {runs.STARTED, runs.SUCCEEDED, runs.FAILED}
    wanted = {f"{kind}.{what}" for kind in ("modelbuild", "appbuild") for what in of_builds}
    wanted |= {f"modelbuild.{what}" for what in _words(of_model_builds)} | {
        f"modeldeployment.{what}" for what in _words(of_deployments)
    }
    assert listed == wanted


def _words(module) -> set[str]:
    return {value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}
