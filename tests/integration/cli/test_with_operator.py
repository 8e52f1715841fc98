"""The command line beside the operator: all three controllers work on what the commands ask for, in one small world."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from typer.testing import CliRunner, Result

from slipway.cli import connection
from slipway.cli.main import app
from slipway.cli.session import Session
from slipway.kube.port import Kube
from slipway.registry.registry import Registry
from slipway.training.contract import TRAINING_FAILED
from tests.faults.controllers.worlds import app_build, fail, model_build, model_deployment, pods, put, world
from tests.faults.world import Operator, World
from tests.integration.cli.helpers import Cli


class Plant:
    """The world, with an operator that works whenever a command pauses, and between commands."""

    def __init__(self, place: World) -> None:
        self.world = place
        self.operator = Operator(place)

    def settle(self, _seconds: float = 0.0) -> None:
        asyncio.run(self.operator.run_to_rest())


@pytest.fixture
def plant() -> Plant:
    return Plant(world())


@pytest.fixture
def slipway(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> Cli:
    @asynccontextmanager
    async def connect(_kubeconfig: str | None, _context: str | None) -> AsyncIterator[Kube]:
        yield plant.world.api

    monkeypatch.setattr(connection, "connect", connect)
    monkeypatch.setattr(connection, "whoami", lambda _session: "ann")
    monkeypatch.setattr(Registry, "open", lambda _uri, _options=None: plant.world.registry())
    monkeypatch.setattr(Session, "pause", staticmethod(plant.settle))
    monkeypatch.setattr(Session, "now", staticmethod(plant.world.clock))
    monkeypatch.setattr(Session, "seconds", staticmethod(plant.world.clock.monotonic))
    monkeypatch.setenv("SLIPWAY_REGISTRY", "memory://registry")
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")

    def run(*words: str) -> Result:
        result = CliRunner().invoke(app, list(words), prog_name="slipway")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def champion(plant: Plant) -> int | None:
    move = plant.world.registry().alias("default/cancer", "champion")
    return move.version if move else None


def test_a_build_by_hand_gives_the_next_version_and_the_deployment_follows(slipway: Cli, plant: Plant) -> None:
    for manifest in (model_build(), app_build(), model_deployment(app={"name": "app"})):
        put(manifest)(plant.world)
    plant.settle()
    assert champion(plant) == 1
    result = slipway("build", "cancer", "--wait")
    assert result.exit_code == 0, result.stderr
    assert "default/cancer:2 (auc 0.95) is done" in result.stdout
    plant.settle()
    assert champion(plant) == 2
    shown = slipway("status").stdout
    assert "✓ ModelDeployment cancer  Ready: Serving" in shown
    assert "✓ stable  version 2" in shown
    assert "✓ ModelBuild cancer  Ready: Promoted" in shown
    assert "version 2" in shown
    assert "promoted to champion" in shown
    assert "✓ gate  auc 0.95 ≥ 0.9" in shown
    assert "✓ AppBuild app  Ready: Pushed" in shown
    pushed = slipway("build", "app", "--app", "--wait")
    assert pushed.exit_code == 0, pushed.stderr


def test_a_failing_build_by_hand_ends_with_1_and_leaves_the_champion(slipway: Cli, plant: Plant) -> None:
    put(model_build(retry={"limit": 1, "backoffSeconds": 5}))(plant.world)
    plant.settle()
    plant.world.cluster.jobs = fail(plant.world, TRAINING_FAILED, "ValueError: no such column (train.py:7)")
    result = slipway("build", "cancer", "--wait")
    assert result.exit_code == 1
    assert "TrainingFailed" in result.stderr.splitlines()[-1]
    assert "no such column (train.py:7)" in result.stderr.splitlines()[-1]
    assert champion(plant) == 1


def test_an_approval_promotes_the_version_that_waits(slipway: Cli, plant: Plant) -> None:
    put(model_build(promotion={"alias": "champion", "approval": "Manual"}))(plant.world)
    plant.settle()
    assert champion(plant) is None
    assert "AwaitingApproval" in slipway("status").stdout
    assert slipway("approve", "cancer", "--reason", "seen").exit_code == 0
    plant.settle()
    assert champion(plant) == 1
    (move,) = json.loads(slipway("history", "cancer@champion", "-o", "json").stdout)
    assert "ann" in move["by"]
    assert "seen" in move["reason"]
    assert "promoted already" in slipway("approve", "cancer").stdout


def test_a_gate_that_failed_is_not_outweighed_by_an_approval(slipway: Cli, plant: Plant) -> None:
    plant.world.cluster.jobs = pods(plant.world, auc=0.5)
    put(model_build(promotion={"alias": "champion", "approval": "Manual"}))(plant.world)
    plant.settle()
    result = slipway("approve", "cancer")
    assert result.exit_code == 1
    assert "failed its gates" in result.stderr


def test_a_rollback_is_followed_and_stays(slipway: Cli, plant: Plant) -> None:
    put(model_build())(plant.world)
    put(model_deployment())(plant.world)
    plant.settle()
    assert slipway("build", "cancer", "--wait").exit_code == 0
    plant.settle()
    assert champion(plant) == 2
    result = slipway("rollback", "cancer", "--reason", "too many errors")
    assert result.exit_code == 0, result.stderr
    plant.settle()
    assert champion(plant) == 1
    assert "✓ stable  version 1" in slipway("status", "cancer").stdout
    newest, *_ = json.loads(slipway("history", "cancer@champion", "-o", "json").stdout)
    assert (newest["version"], newest["previous"], newest["by"], newest["reason"]) == (1, 2, "ann", "too many errors")
