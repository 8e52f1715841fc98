"""Every strategy under faults: the operator killed at every write, and each other fault at points spread over the run."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.scraper import Behaviour
from tests.faults.controllers.deployments import deployment_world, publish
from tests.faults.controllers.test_rollout import ERRORS, behave
from tests.faults.controllers.worlds import delete, model_deployment, put
from tests.faults.sweep import Scenario, State, api_errors, crashes, lost_events, stale_reads, store_errors, sweep, two_operators
from tests.faults.world import World

POINTS = None if os.environ.get("SLIPWAY_SWEEP") == "all" else 6
"""Points of each kind of fault besides crashes, which are swept in full."""


def spec(strategy: str, **rollout: Any) -> dict[str, Any]:
    return model_deployment(replicas=2, rollout={"strategy": strategy, "rollbackWindow": "20s", "interval": "10s"} | rollout)


def world_with_a_bad_version() -> World:
    """Version 2 is good, version 3 fails half of its requests."""
    world = deployment_world()
    world.patience = 40.0
    behave(world, v3=Behaviour(errors=0.5))
    return world


def without_figures(state: State) -> State:
    """What a gate measured depends on when it looked."""
    for identity, obj in state["objects"].items():
        if identity.startswith("ModelDeployment/"):
            _blur(obj)
        if identity.startswith("Service/"):
            _blur(obj["metadata"].get("annotations", {}))
    _blur({key: document for key, document in state["registry"].items() if key.startswith("rollouts/")})
    return state


def _blur(value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str) and re.search(r"over \d+ requests", item):
                value[key] = re.sub(r"[\d.]+ (<=|>) [\d.]+ over \d+ requests", "n over n requests", item)
            _blur(item)
    elif isinstance(value, list):
        for item in value:
            _blur(item)


def scenario(name: str, manifest: dict[str, Any], budget: int) -> Scenario:
    """Serve version 1, go to version 2, try version 3 which is bad, and go away."""
    return Scenario(
        name,
        world_with_a_bad_version,
        (publish(1), put(manifest), publish(2), publish(3), delete("ModelDeployment", "cancer")),
        budget=budget,
        leaves_nothing=True,
        adjust=without_figures,
    )


SCENARIOS = {
    "canary": scenario(
        "canary",
        spec("Canary", steps=[{"weight": 25, "hold": "10s"}, {"weight": 50, "hold": "10s"}], gates=[ERRORS]),
        budget=45,
    ),
    "blue-green": scenario("blue-green", spec("BlueGreen", watch={"for": "20s", "gates": [ERRORS]}), budget=45),
    "recreate": scenario("recreate", spec("Recreate", watch={"for": "20s", "gates": [ERRORS]}), budget=50),
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_killed_at_every_write_it_comes_to_the_same_end(name: str) -> None:
    report = await sweep(SCENARIOS[name], (crashes,))
    print(report)
    assert report.ok, report


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("fault", [api_errors, store_errors, stale_reads, lost_events, two_operators])
async def test_other_faults_end_in_the_same_state(name: str, fault: Callable[..., object]) -> None:
    report = await sweep(SCENARIOS[name], (fault,), limit=POINTS)
    print(report)
    assert report.ok, report
