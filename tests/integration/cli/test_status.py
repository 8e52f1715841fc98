"""``slipway status``: what a person sees of the chain, and what a program reads."""

from __future__ import annotations

import json

import pytest

from slipway.cli.session import Session
from slipway.kube.port import Object, Rejected, Unavailable
from tests.fakes.api_server import Call
from tests.integration.cli.helpers import (
    IMAGE,
    Cli,
    Cluster,
    app_build,
    condition,
    model_build,
    model_deployment,
    promoted,
    run,
)

DIGEST = "sha256:" + "d" * 64


def revision(number: int, ready: int) -> Object:
    return {"revision": f"r{number}", "version": number, "digest": DIGEST, "image": IMAGE, "readyReplicas": ready}


def serving(**fields: object) -> Object:
    return {
        "conditions": [condition("Ready", "True", "Serving"), condition("Available", "True", "Serving")],
        "url": "http://bc.default.svc:8080",
        "stable": revision(7, 2),
    } | fields


def pushed() -> Object:
    built = run("Succeeded", finishedAt="2026-11-01T12:00:03Z", bytesSent=3 << 20)
    return {"conditions": [condition("Ready", "True", "Pushed")], "image": IMAGE, "build": built}


def test_the_whole_chain_is_one_tree(cli: Cli, api: Cluster) -> None:
    api.make(model_build(status=promoted(7)))
    api.make(app_build(status=pushed()))
    api.make(model_deployment(status=serving(), app={"name": "api"}))
    shown = cli("status")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == [
        "✓ ModelDeployment bc  Ready: Serving  http://bc.default.svc:8080",
        "├── ✓ stable  version 7  sha256:dddddddddddd  2/2 ready  revision r7",
        "│   └── image  registry.example.com/ml/api@sha256:cccccccccccc",
        "├── model bc@champion",
        "│   └── ✓ ModelBuild bc  Ready: Promoted",
        "│       ├── ✓ build  Succeeded in 12s  SpecChanged",
        "│       └── version 7  sha256:dddddddddddd  promoted to champion  roc_auc 0.9947",
        "│           └── ✓ gate  roc_auc 0.9947 ≥ 0.95",
        "└── app api",
        "    └── ✓ AppBuild api  Ready: Pushed",
        "        ├── ✓ build  Succeeded in 3s  SpecChanged  3 MiB sent",
        "        └── image  registry.example.com/ml/api@sha256:cccccccccccc",
    ]


def test_a_held_candidate_and_a_failed_gate_are_told_with_their_reasons(cli: Cli, api: Cluster) -> None:
    held = {"revision": "r8", "version": 8, "digest": DIGEST, "reason": "CandidateFailed", "message": "not ready after 300 s"}
    conditions = [
        condition("Ready", "False", "CandidateFailed", "version 8 was not ready"),
        condition("Available", "True", "Serving"),
        condition("Stalled", "True", "CandidateFailed"),
    ]
    api.make(model_deployment(status=serving(held=held, conditions=conditions)))
    failed = promoted(8)
    failed["version"]["gates"] = [{"metric": "auc", "passed": False, "message": "auc 0.9 < 0.95"}]
    del failed["version"]["promotedTo"]
    ready = condition("Ready", "False", "GateFailed", "auc 0.9 < 0.95")
    failed["conditions"] = [ready, condition("Stalled", "True", "GateFailed")]
    api.make(model_build(status=failed))
    lines = cli("status", "bc").stdout.splitlines()
    assert lines[0] == "✗ ModelDeployment bc  Not ready: CandidateFailed  (version 8 was not ready)  http://bc.default.svc:8080"
    assert "├── ✗ held  version 8  CandidateFailed: not ready after 300 s" in lines
    assert "    └── ✗ ModelBuild bc  Not ready: GateFailed  (auc 0.9 < 0.95)" in lines
    assert "            └── ✗ gate  auc 0.9 < 0.95" in lines


def test_work_under_way_is_told(cli: Cli, api: Cluster) -> None:
    ready = condition("Ready", "False", "CandidateStarting", "0 of 2")
    conditions = [ready, condition("Reconciling", "True", "CandidateStarting")]
    api.make(model_deployment(status=serving(candidate=revision(8, 0), conditions=conditions)))
    building = {"conditions": [condition("Ready", "False", "Building", generation=1)], "build": run("Running", attempt=2)}
    api.make(model_build("other", status=building))
    api.make(model_build("fresh"))
    shown = cli("status").stdout
    assert "● ModelDeployment bc  Not ready: CandidateStarting  (0 of 2)" in shown
    assert "● candidate  version 8  sha256:dddddddddddd  0/2 ready" in shown
    assert "SpecChanged  attempt 2" in shown
    assert "● ModelBuild fresh  not seen by the operator yet" in shown


def test_a_spec_that_the_operator_has_not_seen_is_told(cli: Cli, api: Cluster) -> None:
    api.make(model_build(status=promoted()))
    api.edit("ModelBuild", "default", "bc", lambda obj: obj["spec"].update(suspend=True))
    assert "(the newest spec has not been seen yet)" in cli("status").stdout


def test_missing_parts_are_named(cli: Cli, api: Cluster) -> None:
    api.make(model_deployment(app={"name": "gone"}))
    shown = cli("status").stdout
    assert "model bc@champion  no ModelBuild makes it here" in shown
    assert "✗ app gone  there is no such AppBuild" in shown


def test_a_name_shows_the_chain_that_it_is_part_of(cli: Cli, api: Cluster) -> None:
    api.make(model_build(status=promoted()))
    api.make(app_build(status=pushed()))
    api.make(app_build("unused", status=pushed()))
    api.make(model_deployment(status=serving(), app={"name": "api"}))
    for name in ("bc", "api", "modeldeployment/bc"):
        shown = cli("status", name).stdout
        assert shown.startswith("✓ ModelDeployment bc")
        assert "unused" not in shown
    assert cli("status", "unused").stdout.startswith("✓ AppBuild unused")
    assert "AppBuild unused" in cli("status").stdout


def test_json_holds_each_chain_with_the_status_of_its_parts(cli: Cli, api: Cluster) -> None:
    api.make(model_build(status=promoted(7)))
    api.make(app_build(status=pushed()))
    api.make(model_deployment(status=serving(), app={"name": "api"}))
    (chain,) = json.loads(cli("status", "-o", "json").stdout)
    assert chain["modelDeployment"]["model"] == {"name": "default/bc", "alias": "champion"}
    assert chain["modelDeployment"]["status"]["stable"]["version"] == 7
    assert chain["modelBuilds"][0]["model"] == "default/bc"
    assert chain["modelBuilds"][0]["status"]["version"]["metrics"] == {"roc_auc": "0.9947"}
    assert chain["appBuild"]["status"]["image"] == IMAGE


def test_all_namespaces_are_told_apart(cli: Cli, api: Cluster) -> None:
    api.make(model_build(status=promoted()))
    api.make(model_build(status=promoted(), namespace="team"))
    assert cli("status").stdout.count("ModelBuild") == 1
    shown = cli("status", "-A").stdout
    assert "ModelBuild default/bc" in shown
    assert "ModelBuild team/bc" in shown


def test_a_model_of_another_namespace_is_followed_there_when_we_may(cli: Cli, api: Cluster) -> None:
    api.make(model_build("fraud", status=promoted(), namespace="team"))
    api.make(model_build("private", status=promoted(), namespace="team"))
    api.make(model_deployment(status=serving(), model={"name": "team/fraud", "alias": "champion"}))
    shown = cli("status").stdout
    assert "✓ ModelBuild fraud  Ready: Promoted" in shown
    assert "private" not in shown

    def forbid(call: Call) -> None:
        if call.namespace == "team":
            raise Rejected(f"{call} is forbidden", code=403)

    api.before = forbid
    assert "model team/fraud@champion  no ModelBuild makes it here" in cli("status").stdout


def test_a_resource_that_cannot_be_understood_spoils_nothing(cli: Cli, api: Cluster) -> None:
    api.make(model_build("newer", source="from the future"))
    api.make(model_build(status=promoted()))
    shown = cli("status").stdout
    assert "✓ ModelBuild bc  Ready: Promoted" in shown
    assert "✗ ModelBuild default/newer  not understood: spec.source" in shown


def test_an_empty_namespace_is_no_error(cli: Cli) -> None:
    result = cli("status")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "There are no resources of Slipway in namespace default" in result.stderr
    assert json.loads(cli("status", "-o", "json").stdout) == []


def test_messages_of_others_cannot_move_the_cursor(cli: Cli, api: Cluster) -> None:
    api.make(model_build(status={"conditions": [condition("Ready", "False", "TrainingFailed", "\x1b[2Jgone\r\nx")]}))
    shown = cli("status").stdout
    assert "gone" in shown
    assert "\x1b" not in shown
    assert "\r" not in shown


def test_watch_shows_changes_only_and_survives_an_api_server_that_is_away(
    cli: Cli, api: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.make(model_build())

    def down(call: Call) -> None:
        raise Unavailable(f"{call}: the API server cannot be reached")

    def change() -> None:
        api.edit("ModelBuild", "default", "bc", lambda obj: obj.update(status=promoted()), subresource="status")

    def interrupt() -> None:
        raise KeyboardInterrupt

    steps = [lambda: None, lambda: setattr(api, "before", down), api.heal, change, interrupt]
    monkeypatch.setattr(Session, "pause", staticmethod(lambda _seconds: steps.pop(0)()))
    result = cli("status", "--watch")
    assert result.exit_code == 130
    assert result.stdout.count("ModelBuild bc") == 2
    assert result.stdout.count("not seen by the operator yet") == 1
    assert "no answer, trying again" in result.stderr
    assert cli("status", "--watch", "-o", "json").exit_code == 2


def feature_view(status: Object | None) -> Object:
    spec = {"entities": [{"name": "user"}], "features": [{"name": "pages"}]}
    made = {"apiVersion": "slipway.dev/v1alpha1", "kind": "FeatureView", "metadata": {"name": "visits", "namespace": "default"}}
    return {**made, "spec": spec} | ({"status": status} if status else {})


def test_a_feature_view_shows_rows_freshness_and_quality(cli: Cli, api: Cluster) -> None:
    status = {
        "conditions": [condition("Ready", "True", "Applied")],
        "revision": {"number": 2, "digest": DIGEST},
        "table": {"version": 14, "rows": 120400},
        "freshness": {"lastEventTime": "2026-11-01T11:00:00Z", "lastIngested": "2026-11-01T11:58:00Z"},
        "quality": {"tableVersion": 14, "batchRows": 10, "complete": "0.9500", "columns": [{"name": "pages", "nulls": "0.1000"}]},
    }
    api.make(feature_view(status))
    lines = cli("status", "visits").stdout.splitlines()
    assert lines[0] == "✓ FeatureView visits  Ready: Applied"
    assert lines[1] == "├── revision 2  sha256:dddddddddddd"
    assert lines[2].startswith("├── table  version 14  120,400 rows  newest event ")
    assert lines[3] == "└── quality  complete 0.9500  nulls: pages 0.1000"
    (found,) = json.loads(cli("status", "-o", "json").stdout)
    assert found["featureView"]["status"]["table"]["rows"] == 120400


def test_rows_that_are_not_known_are_said_to_be(cli: Cli, api: Cluster) -> None:
    table = {"version": 9, "message": "another tool rewrote rows in version 9"}
    api.make(feature_view({"conditions": [condition("Ready", "True", "Applied")], "table": table}))
    assert "rows not known: another tool rewrote rows in version 9" in cli("status").stdout
