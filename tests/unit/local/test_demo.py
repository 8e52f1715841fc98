"""The demo's parts that need no cluster: its timeline, its installation, its summary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local.demo import install, timeline
from local.demo.baseline import api_writes, operator_metrics
from local.demo.figures import Chain, Facts
from local.demo.kubectl import Cluster
from local.demo.predictions import first_answer
from local.demo.record import picture
from local.demo.summary import render
from local.demo.timeline import Step, Timeline
from local.errors import LocalError, WaitTimeout
from local.info import ClusterInfo
from tests.unit.local.support import Recorder, quiet, refused


def cluster(runner: Recorder, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Cluster:
    monkeypatch.setattr("local.demo.kubectl.run", runner)
    fields: dict[str, Any] = {
        "provider": "bare", "kubeconfig": "/k", "context": "slipway", "registry": "r:5000", "registry_in_cluster": "r:5000",
        "s3_endpoint": "http://s3", "s3_endpoint_in_cluster": "http://s3", "s3_region": "us-east-1", "s3_access_key": "AK",
        "s3_secret_key": "SK", "buckets": ("slipway", "data"), "kubectl": "kubectl", "helm": "helm",
    }  # fmt: skip
    return Cluster(ClusterInfo(**fields | more))


DEPLOYED = {"spec": {"replicas": 1}, "status": {"readyReplicas": 1}}
KUBECTL, HELM = "kubectl --kubeconfig /k --context slipway", "helm --kubeconfig /k --kube-context slipway"


def test_a_chart_that_is_installed_and_runs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Recorder()
    made = cluster(runner, monkeypatch)
    install.install_chart(made, {"operator": "sha256:1"}, ("demo",), quiet())
    (upgrade,) = runner.ran(f"{HELM} upgrade")
    description = upgrade.split()[-1]
    runner.rules = {
        f"{HELM} status": json.dumps({"info": {"status": "deployed", "description": description}}),
        f"{KUBECTL} get deployment": json.dumps(DEPLOYED),
    }
    install.install_chart(made, {"operator": "sha256:1"}, ("demo",), quiet())
    assert len(runner.ran(f"{HELM} upgrade")) == 1
    install.install_chart(made, {"operator": "sha256:2"}, ("demo",), quiet())
    assert len(runner.ran(f"{HELM} upgrade")) == 2, "another image is another installation"
    runner.rules[f"{KUBECTL} get deployment"] = json.dumps(DEPLOYED | {"status": {}})
    install.install_chart(made, {"operator": "sha256:1"}, ("demo",), quiet())
    assert len(runner.ran(f"{HELM} upgrade")) == 3, "an operator that does not run is repaired"


def test_without_a_kubeconfig_kubectl_finds_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster(Recorder(), monkeypatch, kubeconfig="", context="").kubectl_argv == ["kubectl"]


def pod(name: str, component: str, phase: str = "Pending", *, running: bool = False, ready: bool = False) -> dict[str, Any]:
    states = [{"state": {"running": {}} if running else {"waiting": {}}}]
    conditions = [{"type": "Ready", "status": "True"}] if ready else []
    return {
        "metadata": {"name": name, "labels": {timeline.COMPONENT: component}},
        "status": {"phase": phase, "containerStatuses": states, "conditions": conditions},
    }


def build(version: int | None) -> dict[str, Any]:
    status: dict[str, Any] = {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}
    if version:
        status["version"] = {"number": version}
    return {"metadata": {"name": "m", "generation": 1}, "status": status}


def test_a_timeline_counts_only_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Recorder({f"{KUBECTL} get pods": "pod/old-1\npod/old-2\n", f"{KUBECTL} get modelbuild": json.dumps(build(1))})
    times = Timeline(cluster(runner, monkeypatch), "demo", "m", replicas=2)
    for old in ("old-1", "old-2"):
        times._pod(pod(old, "serving", running=True, ready=True))
    times._build(build(1))
    assert times.steps() == []
    times._pod(pod("t", "training"))
    times._pod(pod("t", "training", "Succeeded", running=True))
    times._build(build(2))
    times._pod(pod("new-1", "serving", running=True, ready=True))
    assert timeline.SERVING_READY not in [step.name for step in times.steps()], "one of two pods is not all"
    times._pod(pod("new-2", "serving", running=True, ready=True))
    times.mark(timeline.ANSWERED)
    names = [step.name for step in times.steps()]
    assert names[0] == timeline.TRAINING_POD and names[-1] == timeline.ANSWERED
    assert {timeline.TRAINING_ENDED, timeline.PROMOTED, timeline.SERVING_READY} <= set(names)
    assert sum(step.seconds for step in times.steps()) == pytest.approx(times.total)


METRICS = """# HELP x
rest_client_request_duration_seconds_count{verb="apply"} 17.0
rest_client_request_duration_seconds_count{verb="create"} 12.0
rest_client_request_duration_seconds_count{verb="delete"} 1.0
rest_client_request_duration_seconds_count{verb="update"} 164.0
rest_client_request_duration_seconds_count{verb="get"} 461.0
process_resident_memory_bytes 1.2e+08
"""


def test_writes_are_counted_without_reads_and_without_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = operator_metrics(cluster(Recorder({KUBECTL: METRICS}), monkeypatch))
    assert api_writes(samples) == 30
    assert samples["process_resident_memory_bytes"] == 1.2e8


def test_metrics_that_cannot_be_had_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert operator_metrics(cluster(Recorder({KUBECTL: refused("not found")}), monkeypatch)) == {}


def test_the_summary_says_what_was_added_and_what_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Chain([Step("first answer", 9.0)], total=9.0, script=2.0, empty_pods=3.0, api_writes=14, resources=2)
    facts = Facts(first=chain, rows=114, stable={"version": 2, "digest": "sha256:d", "image": "i"}, operator_bytes=110 << 20)
    text = render(facts, cluster(Recorder(), monkeypatch, provider="kind"))
    for words in ("added 4.0 s", "7.0 times", "114 held-out rows", "110 MiB", "make down CLUSTER=kind", "first answer"):
        assert words in text
    data = json.loads(facts.to_json())
    assert data["first"]["added"] == 4.0 and data["machine"]["cores"]


def test_a_service_that_never_answers_is_an_error_with_its_address() -> None:
    with pytest.raises(WaitTimeout, match=r"http://127\.0\.0\.1:9"):
        first_answer("http://127.0.0.1:9", "m", seconds=0)


def test_a_resource_that_needs_a_person_ends_the_wait_with_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    conditions = [
        {"type": "Ready", "status": "False", "reason": "TrainingFailed", "message": "column target is missing"},
        {"type": "Stalled", "status": "True"},
    ]
    stalled = {"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": conditions}}
    made = cluster(Recorder({KUBECTL: json.dumps(stalled)}), monkeypatch)
    with pytest.raises(LocalError, match="column target is missing"):
        made.wait("modelbuild", "m", "demo", "ready", lambda _: False, seconds=60)


def test_the_script_by_hand_answers_for_every_held_out_row(tmp_path: Path) -> None:
    import pandas as pd

    from local.demo import example

    table = pd.DataFrame({"a": [0.0, 1.0, 0.1, 0.9] * 5, "b": [1.0, 0.0, 0.8, 0.2] * 5, "target": [0, 1, 0, 1] * 5})
    table.to_parquet(tmp_path / "train.parquet")
    table.head(4).to_parquet(tmp_path / "heldout.parquet")
    found = example.scikit_learn(tmp_path, {"C": 1.0, "seed": 7})
    assert found.labels == found.truth == [0, 1, 0, 1]
    assert len(found.probabilities) == len(found.rows) == 4
    assert found.seconds > 0


def test_the_picture_of_the_terminal_loads_nothing_and_leaves_signs_of_life_out() -> None:
    drawn = picture(["$ make demo", "[  1.0 s] build … still at it", "[  2.0 s] 12 requests, none failed", "x" * 400])
    assert "none" in drawn and "still" not in drawn
    assert "@font-face" not in drawn and "url(http" not in drawn
