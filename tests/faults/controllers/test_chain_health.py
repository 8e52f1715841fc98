"""A build and the deployment that follows its alias, as one thing whose health somebody watches: it is not done and then again not."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from tests.faults.controllers import worlds
from tests.faults.controllers.worlds import get, model_build, model_deployment, put, ready
from tests.faults.world import Operator, World

OTHER = {"entrypoint": "train:main", "params": {"C": 0.5}}


def health(world: World) -> list[bool]:
    """Changes of "both are ready, and that about their newest spec", over all that was written."""
    done = {"ModelBuild": False, "ModelDeployment": False}
    states = []
    for event in world.api.events:
        if event.object["kind"] in done:
            done[event.object["kind"]] = is_done(event.object)
            states.append(all(done.values()))
    return [state for state, _ in groupby(states)]


def is_done(resource: dict[str, Any]) -> bool:
    status = resource.get("status", {})
    current = status.get("observedGeneration") == resource["metadata"]["generation"]
    return current and any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))


async def test_between_a_build_and_its_roll_out_nothing_looks_done() -> None:
    world = worlds.world("ModelBuild", "ModelDeployment")
    for manifest in (model_deployment(), model_build()):
        put(manifest)(world)
    await Operator(world).run_to_rest()
    assert health(world) == [False, True]
    put(model_build(trainer=OTHER))(world)
    await Operator(world).run_to_rest()
    assert get(world, "ModelDeployment", "cancer")["status"]["stable"]["version"] == 2
    assert health(world) == [False, True, False, True]


async def test_a_deployment_that_cannot_begin_does_not_hold_the_build_up_for_long() -> None:
    world = worlds.world("ModelBuild")  # nobody looks at ModelDeployments
    put(model_deployment())(world)
    put(model_build())(world)
    await Operator(world).run_to_rest()
    assert "Promoting" in reasons(world)
    assert ready(get(world, "ModelBuild", "cancer")) == ("True", "Promoted")


async def test_a_build_that_nobody_follows_is_done_at_once() -> None:
    world = worlds.world("ModelBuild")
    put(model_deployment(model={"name": "cancer", "version": 1}))(world)
    put(model_build())(world)
    await Operator(world).run_to_rest()
    assert "Promoting" not in reasons(world)


def reasons(world: World) -> set[str]:
    """All that the build ever said."""
    builds = [event.object for event in world.api.events if event.object["kind"] == "ModelBuild"]
    return {condition["reason"] for build in builds for condition in build.get("status", {}).get("conditions", ())}
