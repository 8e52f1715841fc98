"""What the shells are offered of a cluster."""

from __future__ import annotations

import os

import pytest
from typer.completion import completion_init  # type: ignore[attr-defined]

from slipway.cli.completion import kubectl_complete
from slipway.kube.port import Unavailable
from slipway.registry.registry import Registry
from tests.fakes.api_server import Call
from tests.integration.cli.helpers import Cli, Cluster, app_build, model_build, model_deployment, register


@pytest.fixture
def offered(cli: Cli) -> object:
    completion_init()

    def complete(line: str) -> list[str]:
        words = line.split(" ")
        env = {"_SLIPWAY_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        result = cli(**env)
        assert result.exit_code == 0
        assert result.stderr == ""
        return result.stdout.split()

    return complete


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("slipway build ", ["bc", "iris"]),
        ("slipway build i", ["iris"]),
        ("slipway build --app ", ["api"]),
        ("slipway approve ", ["bc", "iris"]),
        ("slipway rollback ", ["bc-serving"]),
        ("slipway status a", ["api"]),
        ("slipway logs modelbuild/", ["modelbuild/bc", "modelbuild/iris"]),
        ("slipway logs m", ["modelbuild/"]),
        ("slipway build -n team ", ["fraud"]),
    ],
)
def test_names_of_the_cluster_are_offered(offered: object, api: Cluster, line: str, names: list[str]) -> None:
    api.make(model_build())
    api.make(model_build("iris"))
    api.make(model_build("fraud", namespace="team"))
    api.make(app_build())
    api.make(model_deployment("bc-serving"))
    assert callable(offered)
    assert offered(line) == names


def test_a_cluster_that_does_not_answer_offers_nothing(offered: object, api: Cluster) -> None:
    def down(call: Call) -> None:
        raise Unavailable(f"{call}: the API server cannot be reached")

    api.before = down
    assert callable(offered)
    assert offered("slipway build ") == []
    assert "_SLIPWAY_COMPLETE" not in os.environ


def test_kubectl_is_told_what_it_understands(
    cli: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("version").exit_code == 0
    register(registry)

    def asked(*words: str) -> list[str]:
        monkeypatch.setattr("sys.argv", ["kubectl_complete-slipway", *words])
        kubectl_complete()
        return capsys.readouterr().out.splitlines()

    rolls = ["rollout\tShow, watch and steer a roll-out.", "rollback\tTake a deployment back to the version before."]
    assert asked("roll") == [*rolls, ":4"]
    assert asked("model", "show", "") == ["bc", ":4"]
    assert asked("logs", "app") == ["appbuild/", ":6"]
    assert asked("rollback", "") == [":4"]
    assert len(asked()) > 10
