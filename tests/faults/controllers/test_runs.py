"""Which run events a build gives, over its whole life and when the operator dies on the way."""

from __future__ import annotations

from slipway.training import contract
from tests.faults.controllers import worlds
from tests.faults.controllers.worlds import model_build, put
from tests.faults.world import Operator, World


async def told(world: World, *actions) -> list[str]:
    for action in actions:
        action(world)
        await Operator(world).run_to_rest()
    return [f"{event.state} {event.attempt}" for event in world.runs]


async def test_a_build_starts_and_completes_with_what_it_read_and_made() -> None:
    world = worlds.world("ModelBuild")
    assert await told(world, put(model_build())) == ["START 1", "COMPLETE 1"]
    start, complete = world.runs
    assert [(entry.namespace, entry.name) for entry in start.inputs] == [("s3://data", "train.parquet")]
    assert complete.outputs[0].name == "models/default/cancer"
    assert complete.outputs[0].version == "1"
    assert start.job == "cancer"


async def test_each_attempt_is_a_run() -> None:
    world = worlds.world("ModelBuild")
    world.cluster.jobs = worlds.fail(world, contract.TRAINING_FAILED)
    events = await told(world, put(model_build()))
    assert events == ["START 1", "FAIL 1", "START 2", "FAIL 2", "START 3", "FAIL 3"]
    assert world.runs[1].reason == contract.TRAINING_FAILED


async def test_a_version_that_was_found_ran_nothing() -> None:
    world = worlds.world("ModelBuild")
    await told(world, put(model_build()))
    world.runs.clear()
    world.api.remove("ModelBuild", "default", "cancer")
    world.cluster.settle()
    assert await told(world, put(model_build())) == []
