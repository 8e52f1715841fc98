"""``slipway rollout …`` and approvals of steps, over the API server in memory."""

from __future__ import annotations

import json
from typing import Any

from slipway.api.common import ANNOTATION_APPROVE, Approval
from slipway.api.rollout import ANNOTATION_ROLLOUT, Order
from slipway.cli.session import Session
from slipway.kube.port import Object
from tests.integration.cli.helpers import Cli, Cluster, condition, model_deployment

DIGEST = "sha256:" + "d" * 64
SINCE = "2026-11-03T12:00:00Z"
ROLLOUT = {"strategy": "Canary", "steps": [{"weight": 25, "hold": "1m"}, {"weight": 50, "approval": "Manual"}]}


def revision(version: int, **more: Any) -> Object:
    return {"revision": f"r{version}", "version": version, "digest": DIGEST, "readyReplicas": 1, "since": SINCE} | more


def status(reason: str = "CandidateProgressing", *, ready: str = "False", **more: Any) -> Object:
    return {"observedGeneration": 1, "conditions": [condition("Ready", ready, reason)], "stable": revision(1)} | more


GATE = {"name": "errors", "verdict": "Pass", "value": "0.002", "requests": 812, "message": "error rate 0.002 <= 0.01"}
UNDER_WAY = status(candidate=revision(2, weight=25, step=0, stepSince=SINCE, gates=[GATE], marks=[]))


def order(api: Cluster) -> Order:
    found = api.peek("ModelDeployment", "default", "bc")
    assert found is not None
    parsed = Order.parse(found["metadata"]["annotations"][ANNOTATION_ROLLOUT])
    assert parsed is not None
    return parsed


def test_status_shows_revisions_weights_steps_and_gates(cli: Cli, api: Cluster) -> None:
    api.make(model_deployment(status=UNDER_WAY, rollout=ROLLOUT))
    result = cli("rollout", "status", "bc")
    assert result.exit_code == 0, result.stderr
    for words in (
        "stable  version 1  75 %",
        "candidate  version 2  25 %",
        "gate errors",
        "0.002 <= 0.01",
        "step 2",
        "needs an approval",
    ):
        assert words in result.stdout
    document = json.loads(cli("rollout", "status", "bc", "-o", "json").stdout)
    assert document["status"]["candidate"]["weight"] == 25
    assert "marks" not in document["status"]["candidate"]


def test_status_shows_copies_and_how_far_answers_agree(cli: Cli, api: Cluster) -> None:
    gate = {
        "name": "same",
        "verdict": "Pass",
        "value": "0.991",
        "requests": 812,
        "message": "agreement 0.991 >= 0.98 over 812 requests",
    }
    found = status(candidate=revision(2, weight=100, step=0, stepSince=SINCE, gates=[gate], marks=[]))
    shadow = {
        "strategy": "Shadow",
        "steps": [{"weight": 100, "hold": "1m"}],
        "gates": [{"name": "same", "agreement": {"min": 0.98}}],
    }
    api.make(model_deployment(status=found, rollout=shadow))
    shown = cli("rollout", "status", "bc").stdout
    for words in ("Shadow", "stable  version 1  100 %", "candidate  version 2  copies of 100 %", "agreement 0.991 >= 0.98"):
        assert words in shown


def test_orders_name_the_try_that_they_are_for(cli: Cli, api: Cluster) -> None:
    api.make(model_deployment(status=UNDER_WAY, rollout=ROLLOUT))
    assert cli("rollout", "pause", "bc", "--reason", "lunch").exit_code == 0
    assert order(api) == Order(action="pause", revision="r2", since=SINCE, by="ann", reason="lunch")
    assert cli("rollout", "resume", "bc").exit_code == 0
    assert order(api).action == "resume"
    assert cli("rollout", "promote", "bc").exit_code == 0
    assert (order(api).action, order(api).step) == ("promote", 1)
    assert cli("rollout", "promote", "bc", "--full").exit_code == 0
    assert order(api).step is None
    assert cli("rollout", "abort", "bc").exit_code == 0
    assert order(api).action == "abort"


def test_without_a_rollout_there_is_nothing_to_steer(cli: Cli, api: Cluster) -> None:
    api.make(model_deployment(status=status("Serving", ready="True")))
    result = cli("rollout", "abort", "bc")
    assert result.exit_code == 1
    assert "no roll-out is under way" in result.stderr
    assert "nothing to try again" in cli("rollout", "retry", "bc").stderr
    assert "waits for nobody" in cli("approve", "md/bc").stderr


def test_retry_names_what_is_held(cli: Cli, api: Cluster) -> None:
    held = {"revision": "r2", "version": 2, "digest": DIGEST, "reason": "GateFailed", "message": "m", "since": SINCE}
    api.make(model_deployment(status=status("GateFailed", held=held)))
    assert cli("rollout", "retry", "bc").exit_code == 0
    assert (order(api).action, order(api).revision, order(api).since) == ("retry", "r2", SINCE)


def test_watch_ends_with_0_when_the_version_serves(cli: Cli, api: Cluster) -> None:
    api.make(model_deployment(status=status("Serving", ready="True")))
    result = cli("rollout", "watch", "bc")
    assert result.exit_code == 0
    assert "version 1 serves" in result.stdout


def test_watch_ends_with_1_when_the_version_was_taken_back(cli: Cli, api: Cluster, monkeypatch: Any) -> None:
    api.make(model_deployment(status=UNDER_WAY, rollout=ROLLOUT))
    held = {"revision": "r2", "version": 2, "digest": DIGEST, "reason": "GateFailed", "message": "error rate 0.5", "since": SINCE}

    def fail(_seconds: float) -> None:
        def change(found: Object) -> None:
            found["status"] = status("GateFailed", held=held)

        api.edit("ModelDeployment", "default", "bc", change, subresource="status")

    monkeypatch.setattr(Session, "pause", staticmethod(fail))
    result = cli("rollout", "watch", "bc", "--version", "2")
    assert result.exit_code == 1
    assert "version 2 is held: error rate 0.5" in result.stderr
    assert "version 2 at 25 %" in result.stdout, "each change is one line"


def test_watch_gives_up_when_time_is_up(cli: Cli, api: Cluster, monkeypatch: Any) -> None:
    api.make(model_deployment(status=UNDER_WAY, rollout=ROLLOUT))
    monkeypatch.setattr(Session, "pause", staticmethod(lambda _seconds: None))
    assert "has not ended within 0s" in cli("rollout", "watch", "bc", "--timeout", "0s").stderr
    assert cli("rollout", "watch", "bc", "--timeout", "soon").exit_code == 2


def test_a_step_that_waits_is_approved_by_name(cli: Cli, api: Cluster) -> None:
    waiting = status("WaitingForApproval", candidate=revision(2, weight=25, step=0, stepSince=SINCE))
    api.make(model_deployment(status=waiting, rollout=ROLLOUT))
    result = cli("approve", "bc", "--reason", "looks fine")
    assert result.exit_code == 0, result.stderr
    found = api.peek("ModelDeployment", "default", "bc")
    assert found is not None
    approval = Approval.parse(found["metadata"]["annotations"][ANNOTATION_APPROVE])
    assert approval == Approval(version=2, by="ann", reason="looks fine", step=1)
    assert "not the one that waits" in cli("approve", "bc", "--version", "3").stderr
