"""``slipway logs modelbuild/NAME``: from the pod while it runs, from the registry afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.cli.session import Session
from slipway.kube.port import Object
from slipway.registry.records import JobResult
from slipway.registry.registry import Registry
from tests.integration.cli.helpers import BUILD_ID, Cli, Cluster, app_build, model_build, run

LABELS = {
    "slipway.dev/kind": "ModelBuild",
    "slipway.dev/name": "bc",
    "slipway.dev/build": "b" * 63,
    "slipway.dev/attempt": "1",
}


def pod(*containers: str, name: str = "bc-pod", **labels: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": LABELS | labels},
        "spec": {
            "initContainers": [{"name": c} for c in containers[:-1]],
            "containers": [{"name": c} for c in containers[-1:]],
        },
    }


def store_log(registry: Registry, text: bytes, attempt: int = 1) -> None:
    log = registry.blobs.put_bytes(text, "text/plain", path="train.log")
    fields: dict[str, Any] = {
        "buildId": BUILD_ID,
        "attempt": attempt,
        "outcome": "Failed",
        "reason": "TrainingFailed",
        "logs": [log.model_dump()],
        "startedAt": "2026-11-01T12:00:00Z",
        "finishedAt": "2026-11-01T12:00:01Z",
    }
    registry.write_result(BUILD_ID, attempt, JobResult.model_validate(fields))


def test_the_log_of_a_running_build_comes_from_its_pod(cli: Cli, api: Cluster) -> None:
    api.make(model_build(status={"build": run("Running")}))
    api.make(pod("train"))
    api.make(pod("train", name="other", **{"slipway.dev/attempt": "2"}))
    api.logs["default", "bc-pod", "train"] = b"epoch 1\n"
    api.logs["default", "other", "train"] = b"another attempt\n"
    assert cli("logs", "modelbuild/bc").stdout == "epoch 1\n"
    assert cli("logs", "mb/bc").stdout == "epoch 1\n"


def test_all_containers_of_the_file_contract_are_shown_in_order(cli: Cli, api: Cluster) -> None:
    api.make(model_build(status={"build": run("Running")}))
    api.make(pod("fetch", "train", "collect"))
    api.logs["default", "bc-pod", "fetch"] = b"fetched\n"
    api.logs["default", "bc-pod", "train"] = b"trained\n"
    assert cli("logs", "modelbuild/bc").stdout == "fetched\ntrained\n"


def test_the_log_of_a_finished_build_comes_from_the_registry(cli: Cli, api: Cluster, registry: Registry) -> None:
    store_log(registry, b"Traceback: no such column\n", attempt=2)
    api.make(model_build(status={"build": run("Failed", attempt=2)}))
    assert cli("logs", "modelbuild/bc").stdout == "Traceback: no such column\n"


def test_without_a_registry_the_pod_is_asked_and_then_the_fix_is_named(cli: Cli, api: Cluster) -> None:
    api.make(model_build(status={"build": run("Failed")}))
    nothing = cli("logs", "modelbuild/bc", SLIPWAY_REGISTRY="")
    assert nothing.exit_code == 3
    assert "set SLIPWAY_REGISTRY" in nothing.stderr
    api.make(pod("train"))
    api.logs["default", "bc-pod", "train"] = b"from the pod\n"
    assert cli("logs", "modelbuild/bc", SLIPWAY_REGISTRY="").stdout == "from the pod\n"


def test_builds_without_a_log_say_why(cli: Cli, api: Cluster) -> None:
    api.make(model_build("fresh"))
    api.make(model_build("starting", status={"build": run("Running")}))
    assert "has not been built yet: slipway status fresh says why" in cli("logs", "modelbuild/fresh").stderr
    assert "its pod has not started" in cli("logs", "modelbuild/starting").stderr
    assert cli("logs", "modeldeployment/bc").exit_code == 2
    assert cli("logs", "modelbuild/").exit_code == 2


def test_the_log_of_an_app_build(cli: Cli, api: Cluster) -> None:
    api.make(app_build(status={"build": run("Running")}))
    api.make(pod("build", **{"slipway.dev/kind": "AppBuild", "slipway.dev/name": "api"}))
    api.logs["default", "bc-pod", "build"] = b"resolving\n"
    assert cli("logs", "appbuild/api").stdout == "resolving\n"


def test_follow_prints_each_line_once_until_the_build_ends(
    cli: Cli, api: Cluster, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.make(model_build(status={"build": run("Running")}))

    def start() -> None:
        api.make(pod("train"))
        api.logs["default", "bc-pod", "train"] = b"one\n"

    def more() -> None:
        api.logs["default", "bc-pod", "train"] = b"one\ntwo\n"

    def end() -> None:
        store_log(registry, b"one\ntwo\nthree\n")
        api.remove("Pod", "default", "bc-pod")
        api.edit("ModelBuild", "default", "bc", lambda obj: obj.update(status={"build": run("Failed")}), subresource="status")

    steps = [start, more, lambda: None, end]
    monkeypatch.setattr(Session, "pause", staticmethod(lambda _seconds: steps.pop(0)()))
    result = cli("logs", "modelbuild/bc", "--follow")
    assert (result.exit_code, result.stdout) == (0, "one\ntwo\nthree\n")
    assert result.stderr == "waiting for the pod to start\n"
