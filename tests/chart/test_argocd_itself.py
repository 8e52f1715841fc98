"""argocd-cm read by Argo CD itself: its command line runs the scripts as its controller and its API server would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from local import binaries
from local import settings as local_settings
from local.progress import Progress
from local.shell import run
from slipway.api.rollout import ANNOTATION_ROLLOUT, Order
from tests.chart.helm import ROOT

FOLDER = ROOT / "manifests/argocd"
SCRIPTS = FOLDER / "resource_customizations/slipway.dev"
SINCE = "2026-11-03T12:00:00Z"


@pytest.fixture(scope="module")
def argocd() -> Path:
    return binaries.ensure_argo(local_settings.read(), Progress()) / "argocd"


def overrides(argocd: Path, tmp_path: Path, command: str, resource: dict[str, Any], *more: str) -> str:
    """What `argocd admin settings resource-overrides` says of a resource."""
    path = tmp_path / "resource.yaml"
    path.write_text(yaml.safe_dump(resource))
    words = ("admin", "settings", "resource-overrides", command, str(path), *more)
    return run([str(argocd), *words, "--argocd-cm-path", str(FOLDER / "argocd-cm.yaml")])


def deployment(**status: Any) -> dict[str, Any]:
    meta = {"name": "m", "namespace": "ml"}
    return {"apiVersion": "slipway.dev/v1alpha1", "kind": "ModelDeployment", "metadata": meta, "status": status}


CANDIDATE = deployment(candidate={"revision": "r2", "version": 2, "since": SINCE, "step": 0})
HELD = deployment(held={"revision": "r2", "version": 2, "since": SINCE})


@pytest.mark.parametrize("kind", ["ModelBuild", "AppBuild", "ModelDeployment"])
def test_health_is_what_the_cases_say(argocd: Path, tmp_path: Path, kind: str) -> None:
    cases = yaml.safe_load((SCRIPTS / kind / "health_test.yaml").read_text())["tests"]
    for case in cases:
        resource = yaml.safe_load((SCRIPTS / kind / case["inputPath"]).read_text())
        said = overrides(argocd, tmp_path, "health", resource)
        wanted = case["healthStatus"]
        assert said == f"STATUS: {wanted['status']}\nMESSAGE: {wanted['message']}\n", case["inputPath"]


def test_actions_that_can_be_done_are_offered(argocd: Path, tmp_path: Path) -> None:
    def offered(resource: dict[str, Any]) -> set[str]:
        rows = overrides(argocd, tmp_path, "list-actions", resource).splitlines()[1:]
        return {name for name, disabled in map(str.split, rows) if disabled == "false"}

    assert offered(CANDIDATE) == {"promote", "promote-full", "abort", "pause"}
    paused = {"type": "Ready", "status": "False", "reason": "RolloutPaused", "message": ""}
    assert offered(deployment(**CANDIDATE["status"], conditions=[paused])) == {"promote", "promote-full", "abort", "resume"}
    assert offered(HELD) == {"retry"}
    assert offered(deployment()) == set()


@pytest.mark.parametrize(
    ("action", "resource"), [("promote", CANDIDATE), ("promote-full", CANDIDATE), ("abort", CANDIDATE), ("retry", HELD)]
)
def test_an_action_writes_the_order_that_the_operator_reads(
    argocd: Path, tmp_path: Path, action: str, resource: dict[str, Any]
) -> None:
    said = overrides(argocd, tmp_path, "run-action", resource, action)
    # a diff, whose new lines are the annotations
    added = yaml.safe_load("\n".join(line.removeprefix("> ") for line in said.splitlines() if line.startswith("> ")))
    order = Order.parse(added["annotations"][ANNOTATION_ROLLOUT])
    assert order is not None
    assert (order.action, order.revision, order.by) == (action.removesuffix("-full"), "r2", "Argo CD")
