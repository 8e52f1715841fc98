"""An alias that leads to a version which only a newer Slipway can read: said, tried again, and what serves goes on serving."""

from __future__ import annotations

from tests.faults.controllers.deployments import deployment_world, publish, settle
from tests.faults.controllers.test_rollout import canary
from tests.faults.controllers.worlds import get, put, ready
from tests.faults.world import Operator

KEY = "models/default/cancer/versions/000000000002.json"


async def test_a_version_of_a_newer_slipway_is_not_served_and_disturbs_nothing() -> None:
    world = deployment_world()
    await settle(world, publish(1), put(canary()))
    publish(2)(world)
    stored = world.store.get(KEY).data
    world.store.put(KEY, stored.replace(b'"schemaVersion":1', b'"schemaVersion":9'))
    operator = Operator(world)
    for _ in range(3):
        await operator.round()
        world.clock.advance(30)
    found = get(world, "ModelDeployment", "cancer")
    assert ready(found)[1] == "RecordUnreadable"
    message = next(c["message"] for c in found["status"]["conditions"] if c["type"] == "Ready")
    assert "upgrade slipway" in message and "000000000002.json" in message
    assert found["status"]["stable"]["version"] == 1
    world.store.put(KEY, stored)  # or the operator was upgraded
    found = await settle(world, lambda _world: None)
    assert ready(found) == ("True", "Serving")
    assert found["status"]["stable"]["version"] == 2
