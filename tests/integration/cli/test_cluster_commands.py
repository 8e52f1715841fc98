"""Commands that change what the cluster does: build, approve, rollback. Over the API server in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from slipway.api.common import ANNOTATION_APPROVE, ANNOTATION_REBUILD, ANNOTATION_REFUSE, Approval
from slipway.cli.session import Session
from slipway.kube.port import Object, Rejected, Unavailable
from slipway.registry.records import JobResult, RolloutRecord
from slipway.registry.registry import Registry
from tests.fakes.api_server import Call
from tests.integration.cli.helpers import (
    BUILD_ID,
    Cli,
    Cluster,
    app_build,
    condition,
    model_build,
    model_deployment,
    promoted,
    register,
    run,
)

MANUAL = {"alias": "champion", "approval": "Manual"}
WAITING: dict[str, Any] = {"conditions": [condition("Ready", "True", "AwaitingApproval")]}


def annotations_of(api: Cluster, kind: str = "ModelBuild", name: str = "bc") -> dict[str, str]:
    found = api.peek(kind, "default", name)
    assert found is not None
    return dict(found["metadata"].get("annotations", {}))


def waiting_status(number: int = 1, **version: Any) -> Object:
    status = promoted(number)
    status["version"] = {k: v for k, v in status["version"].items() if k != "promotedTo"} | version
    return status | WAITING


# ---- build ----


def test_build_asks_by_annotation_and_leaves_spec_alone(cli: Cli, api: Cluster) -> None:
    before = api.make(model_build())
    result = cli("build", "bc")
    assert result.exit_code == 0
    after = api.peek("ModelBuild", "default", "bc")
    assert after is not None
    assert (after["spec"], after["metadata"]["generation"]) == (before["spec"], before["metadata"]["generation"])
    first = annotations_of(api)[ANNOTATION_REBUILD]
    assert cli("rebuild", "bc").exit_code == 0
    assert annotations_of(api)[ANNOTATION_REBUILD] != first


def test_build_app_asks_for_an_app_build(cli: Cli, api: Cluster) -> None:
    api.make(app_build())
    assert cli("build", "api", "--app").exit_code == 0
    assert ANNOTATION_REBUILD in annotations_of(api, "AppBuild", "api")
    wrong = cli("build", "api")
    assert wrong.exit_code == 3
    assert "no ModelBuild api" in wrong.stderr


def test_build_and_approve_do_not_take_each_others_annotation_away(cli: Cli, api: Cluster) -> None:
    api.make(model_build(status=waiting_status(), promotion=MANUAL))
    cli("build", "bc")
    cli("approve", "bc")
    cli("build", "bc")
    assert {ANNOTATION_APPROVE, ANNOTATION_REBUILD} <= annotations_of(api).keys()


def test_a_suspended_build_is_not_started(cli: Cli, api: Cluster) -> None:
    api.make(model_build(suspend=True))
    result = cli("build", "bc")
    assert result.exit_code == 1
    assert "spec.suspend" in result.stderr
    assert api.writes == 0


def test_a_name_that_is_not_there_lists_close_ones(cli: Cli, api: Cluster) -> None:
    api.make(model_build("breast-cancer"))
    typo = "breast-cancr"
    for words in (["build", typo], ["approve", typo], ["logs", f"modelbuild/{typo}"], ["status", typo]):
        result = cli(*words)
        assert result.exit_code == 3
        assert "did you mean breast-cancer" in result.stderr
    other = cli("build", "bc", "-n", "team")
    assert "another namespace is chosen with -n" in other.stderr


@pytest.mark.parametrize("name", ["", "Breast", "a/b/c", "../../secrets", "bc?x=1", "bc bc", "appbuild/bc", "n" * 300])
def test_what_can_be_no_name_never_reaches_the_server(cli: Cli, api: Cluster, name: str) -> None:
    for command in ("build", "approve"):
        result = cli(command, name)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.output
        assert "name of a ModelBuild" in result.stderr
    assert api.calls == []


def test_a_namespace_that_can_be_none_is_refused(cli: Cli, api: Cluster) -> None:
    for namespace in ("", "Team", "a/b", "n" * 64):
        for words in (["status"], ["build", "bc"], ["models"], ["model", "show", "bc"]):
            result = cli(*words, "-n", namespace)
            assert result.exit_code == 2
            assert "--namespace" in result.stderr
    assert api.calls == []


def test_names_may_be_written_as_kubectl_has_them(cli: Cli, api: Cluster) -> None:
    api.make(model_build())
    assert cli("build", "modelbuild/bc").exit_code == 0
    assert cli("build", "mb/bc").exit_code == 0


def test_an_object_that_is_deleted_meanwhile_is_not_made_anew(cli: Cli, api: Cluster) -> None:
    api.make(model_build())

    def delete_first(call: Call) -> None:
        if call.verb == "apply":
            api.remove("ModelBuild", "default", "bc")

    api.before = delete_first
    result = cli("build", "bc")
    assert result.exit_code == 4
    assert api.peek("ModelBuild", "default", "bc") is None


def test_a_cluster_without_slipway_is_told_apart_from_a_missing_name(cli: Cli, api: Cluster) -> None:
    api.missing_kinds = {"ModelBuild", "ModelDeployment", "AppBuild"}
    for words in (["status"], ["build", "bc"], ["rollback", "bc"]):
        result = cli(*words)
        assert result.exit_code == 1
        assert "is Slipway installed in this cluster?" in result.stderr


def test_an_api_server_that_does_not_answer_is_one_line(cli: Cli, api: Cluster) -> None:
    def down(call: Call) -> None:
        raise Unavailable(f"{call}: the API server cannot be reached (ConnectError)")

    api.before = down
    result = cli("status")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "cannot be reached" in result.stderr


# ---- build --wait ----


@pytest.fixture
def operator(api: Cluster, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Plays the operator: each pause of the command is used to write the next status. A status may hold TOKEN."""

    def script(*statuses: Object | Callable[[], None], kind: str = "ModelBuild", name: str = "bc") -> None:
        steps = list(statuses)
        time = [0.0]

        def pause(seconds: float) -> None:
            time[0] += seconds
            if not steps:
                return
            step = steps.pop(0)
            if callable(step):
                step()
                return
            text = json.dumps(step).replace("TOKEN", annotations_of(api, kind, name)[ANNOTATION_REBUILD])
            api.edit(kind, "default", name, lambda obj: obj.update(status=json.loads(text)), subresource="status")

        monkeypatch.setattr(Session, "pause", staticmethod(pause))
        monkeypatch.setattr(Session, "seconds", staticmethod(lambda: time[0]))

    return script


def building(message: str = "the pod runs", **fields: Any) -> Object:
    ready = condition("Ready", "False", "Building", message)
    conditions = [ready, condition("Reconciling", "True", "Building")]
    return {"conditions": conditions, "build": run("Running", rebuild="TOKEN", **fields)}


def stalled(reason: str, message: str, **fields: Any) -> Object:
    conditions = [condition("Ready", "False", reason, message), condition("Stalled", "True", reason, message)]
    return {"conditions": conditions, "build": run("Failed", rebuild="TOKEN", **fields)}


def test_wait_follows_to_the_version_that_the_build_gave(cli: Cli, api: Cluster, operator: Callable[..., None]) -> None:
    api.make(model_build(status=promoted(1)))
    done = promoted(2, build=run("Succeeded", rebuild="TOKEN", reason="Forced"))
    operator(building(), building("still"), done)
    result = cli("build", "bc", "--wait")
    assert result.exit_code == 0, result.stderr
    assert "default/bc:2 (roc_auc 0.9947) is done after 3s" in result.stdout
    assert [line.split(None, 1)[1] for line in result.stderr.splitlines()[1:]] == [
        "waiting for the operator",
        "Building: the pod runs",
        "Building: still",
        "Promoted: promoted to champion",
    ]


def test_wait_of_an_app_build_ends_with_its_image(cli: Cli, api: Cluster, operator: Callable[..., None]) -> None:
    api.make(app_build())
    image = "registry.example.com/ml/api@sha256:" + "e" * 64
    pushed = {"conditions": [condition("Ready", "True", "Pushed")], "image": image, "build": run("Succeeded", rebuild="x/TOKEN")}
    operator(pushed, kind="AppBuild", name="api")
    result = cli("build", "api", "--app", "--wait")
    assert result.exit_code == 0, result.stderr
    assert "registry.example.com/ml/api@sha256:eeeeeeeeeeee is done" in result.stdout


def test_a_failed_build_ends_with_1_and_the_end_of_its_log(
    cli: Cli, api: Cluster, registry: Registry, operator: Callable[..., None]
) -> None:
    log = registry.blobs.put_bytes(b"".join(b"line %d\n" % n for n in range(100)), path="train.log")
    result = JobResult.model_validate(
        {
            "buildId": BUILD_ID,
            "attempt": 1,
            "outcome": "Failed",
            "reason": "TrainingFailed",
            "logs": [log.model_dump()],
            "startedAt": "2026-11-01T12:00:00Z",
            "finishedAt": "2026-11-01T12:00:01Z",
        }
    )
    registry.write_result(BUILD_ID, 1, result)
    api.make(model_build())
    operator(building(), stalled("TrainingFailed", "ValueError: no such column (train.py:7)"))
    told = cli("build", "bc", "--wait")
    assert told.exit_code == 1
    assert told.stderr.splitlines()[-1] == "error: ModelBuild bc: TrainingFailed: ValueError: no such column (train.py:7)"
    assert "| line 99" in told.stderr
    assert "| line 79" not in told.stderr


def test_a_retry_is_waited_for(cli: Cli, api: Cluster, operator: Callable[..., None]) -> None:
    api.make(model_build())
    failed = run("Failed", rebuild="TOKEN", failure={"reason": "OutOfMemory", "message": "killed"})
    retrying = {"conditions": [condition("Ready", "False", "Retrying", "killed"), condition("Reconciling", "True", "Retrying")]}
    operator(retrying | {"build": failed}, building(attempt=2), promoted(1, build=run("Succeeded", rebuild="TOKEN", attempt=2)))
    result = cli("build", "bc", "-w")
    assert result.exit_code == 0, result.stderr
    assert "Retrying: killed" in result.stderr
    assert "attempt 2, Building" in result.stderr


def test_a_build_that_has_failed_for_good_is_not_waited_for_whatever_its_reason(
    cli: Cli, api: Cluster, operator: Callable[..., None]
) -> None:
    api.make(model_build())
    failed = run("Failed", rebuild="TOKEN", failure={"reason": "StoreUnavailable", "message": "no answer"})
    operator({"conditions": [condition("Ready", "False", "StoreUnavailable", "no answer")], "build": failed})
    result = cli("build", "bc", "--wait")
    assert result.exit_code == 1
    assert "StoreUnavailable: no answer" in result.stderr.splitlines()[-1]


def test_what_happened_before_is_not_taken_for_the_answer(cli: Cli, api: Cluster, operator: Callable[..., None]) -> None:
    before = stalled("TrainingFailed", "an old failure") | {"build": run("Failed", rebuild="yesterday")}
    api.make(model_build(status=before))
    operator(before, building(), promoted(1, build=run("Succeeded", rebuild="TOKEN")))
    assert cli("build", "bc", "--wait").exit_code == 0


def test_a_spec_that_is_refused_ends_the_wait(cli: Cli, api: Cluster, operator: Callable[..., None]) -> None:
    api.make(model_build())
    refused = stalled("InvalidParams", "trainer.params.C is a list")
    operator({"conditions": refused["conditions"]})
    result = cli("build", "bc", "--wait")
    assert result.exit_code == 1
    assert "trainer.params.C is a list" in result.stderr.splitlines()[-1]


def test_suspension_and_deletion_end_the_wait(cli: Cli, api: Cluster, operator: Callable[..., None]) -> None:
    api.make(model_build())
    operator(lambda: api.edit("ModelBuild", "default", "bc", lambda obj: obj["spec"].update(suspend=True)))
    suspended = cli("build", "bc", "--wait")
    assert suspended.exit_code == 1
    assert "spec.suspend is true" in suspended.stderr
    api.edit("ModelBuild", "default", "bc", lambda obj: obj["spec"].update(suspend=False))
    operator(lambda: api.remove("ModelBuild", "default", "bc"))
    deleted = cli("build", "bc", "--wait")
    assert deleted.exit_code == 3
    assert "deleted meanwhile" in deleted.stderr


def test_an_operator_that_does_not_notice_is_asked_for(cli: Cli, api: Cluster, operator: Callable[..., None]) -> None:
    api.make(model_build())
    operator()
    result = cli("build", "bc", "--wait", "--timeout", "60")
    assert result.exit_code == 1
    assert result.stderr.count("is it running?") == 1
    assert "not done after 60s; it goes on without us: slipway status bc" in result.stderr.splitlines()[-1]


def test_an_obstacle_before_the_build_is_told(cli: Cli, api: Cluster, operator: Callable[..., None]) -> None:
    api.make(model_build())
    missing = condition("Ready", "False", "SourceMissing", "there is no ConfigMap code")
    operator({"conditions": [missing, condition("Reconciling", "True", "SourceMissing")]})
    result = cli("build", "bc", "--wait", "--timeout", "60")
    assert "is it running?" not in result.stderr
    assert "(SourceMissing: there is no ConfigMap code)" in result.stderr.splitlines()[-1]


def test_an_api_server_that_is_away_for_a_while_is_waited_for(cli: Cli, api: Cluster, operator: Callable[..., None]) -> None:
    api.make(model_build())

    def down(call: Call) -> None:
        raise Unavailable(f"{call}: the API server did not answer in time")

    operator(lambda: setattr(api, "before", down), api.heal, building(), promoted(1, build=run("Succeeded", rebuild="TOKEN")))
    result = cli("build", "bc", "--wait")
    assert result.exit_code == 0, result.stderr
    assert "no answer, trying again" in result.stderr


# ---- approve ----


def test_approve_records_who_which_and_why(cli: Cli, api: Cluster) -> None:
    api.person = "ann@example.com"
    api.make(model_build(status=waiting_status(3), promotion=MANUAL))
    result = cli("approve", "bc", "--reason", "looked at the curves – good")
    assert result.exit_code == 0, result.stderr
    assert "default/bc:3 is approved by ann@example.com; champion moves to it now" in result.stdout
    written = Approval.parse(annotations_of(api)[ANNOTATION_APPROVE])
    assert written == Approval(version=3, by="ann@example.com", reason="looked at the curves – good")


def test_a_cluster_that_does_not_tell_who_we_are_leaves_the_login_name(cli: Cli, api: Cluster) -> None:
    api.make(model_build(status=waiting_status(), promotion=MANUAL))
    assert "approved by ann;" in cli("approve", "bc", "--version", "1").stdout


@pytest.mark.parametrize(
    ("status", "spec", "words", "says"),
    [
        (promoted(), {}, [], "has no spec.promotion"),
        (promoted(), {"promotion": {"alias": "champion"}}, [], "Automatic: it waits for nobody"),
        (None, {"promotion": MANUAL}, [], "has no version yet"),
        (waiting_status(2), {"promotion": MANUAL}, ["--version", "1"], "slipway alias set default/bc@champion 1"),
        (
            waiting_status(2, gates=[{"metric": "auc", "passed": False, "message": "auc 0.9 < 0.95"}]),
            {"promotion": MANUAL},
            [],
            "failed its gates (auc 0.9 < 0.95)",
        ),
    ],
)
def test_nothing_to_approve_is_said_and_nothing_written(
    cli: Cli, api: Cluster, status: Object | None, spec: Object, words: list[str], says: str
) -> None:
    api.make(model_build(status=status, **spec))
    result = cli("approve", "bc", *words)
    assert result.exit_code == 1
    assert says in result.stderr
    assert api.writes == 0


def test_refuse_records_who_which_and_why(cli: Cli, api: Cluster) -> None:
    api.person = "ann@example.com"
    api.make(model_build(status=waiting_status(3), promotion=MANUAL))
    assert cli("approve", "bc", "--refuse").exit_code == 2, "not without a reason"
    assert cli("approve", "bc", "--refuse", "--reason", " ").exit_code == 2
    assert api.writes == 0
    result = cli("approve", "bc", "--refuse", "--reason", "worse on the newest month")
    assert result.exit_code == 0, result.stderr
    assert "default/bc:3 is refused by ann@example.com" in result.stdout
    assert annotations_of(api).keys() == {ANNOTATION_REFUSE}
    written = Approval.parse(annotations_of(api)[ANNOTATION_REFUSE])
    assert written == Approval(version=3, by="ann@example.com", reason="worse on the newest month")


@pytest.mark.parametrize(
    ("approval", "says"),
    [({"refusedBy": "ann"}, "version 2 was refused by ann"), ({"refusedBy": "x", "expired": True}, "was not approved in time")],
)
def test_what_was_decided_stands(cli: Cli, api: Cluster, approval: Object, says: str) -> None:
    api.make(model_build(status=waiting_status(2, approval={"required": True} | approval), promotion=MANUAL))
    result = cli("approve", "bc")
    assert result.exit_code == 1
    assert says in result.stderr
    assert "slipway alias set default/bc@champion 2" in result.stderr
    assert api.writes == 0


def test_approving_what_is_promoted_already_is_no_error(cli: Cli, api: Cluster) -> None:
    api.make(model_build(status=promoted(4), promotion=MANUAL))
    result = cli("approve", "bc")
    assert (result.exit_code, result.stdout) == (0, "default/bc:4 is promoted already, nothing to do\n")
    assert api.writes == 0


# ---- rollback ----


def versions(registry: Registry, count: int) -> None:
    for number in range(1, count + 1):
        register(registry, seed=number)
        registry.move_alias("default/bc", "champion", number, by="ModelBuild default/bc")


def test_rollback_moves_the_alias_back_and_records_it(cli: Cli, api: Cluster, registry: Registry) -> None:
    versions(registry, 3)
    api.make(model_deployment())
    result = cli("rollback", "bc", "--reason", "too many errors")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "default/bc@champion is version 2 now (was version 3)\n"
    move = registry.alias("default/bc", "champion")
    assert move is not None
    assert (move.version, move.previous, move.by, move.reason) == (2, 3, "ann", "too many errors")
    assert [call for call in api.calls if call.verb == "apply"] == []


def test_rollback_goes_to_any_version_that_is_there(cli: Cli, api: Cluster, registry: Registry) -> None:
    versions(registry, 3)
    api.make(model_deployment())
    assert "is version 1 now" in cli("rollback", "bc", "--to", "1").stdout
    assert "nothing to do" in cli("rollback", "bc", "--to", "1").stdout
    missing = cli("rollback", "bc", "--to", "9")
    assert missing.exit_code == 3
    assert "it has 1 to 3" in missing.stderr


def test_rollback_without_a_version_before_asks_for_one(cli: Cli, api: Cluster, registry: Registry) -> None:
    versions(registry, 1)
    api.make(model_deployment())
    result = cli("rollback", "bc")
    assert result.exit_code == 1
    assert "--to N" in result.stderr


def test_rollback_loses_to_a_concurrent_move(cli: Cli, api: Cluster, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    versions(registry, 3)
    api.make(model_deployment())
    own = Registry.move_alias

    def raced(self: Registry, *args: Any, **kwargs: Any) -> Any:
        own(registry, "default/bc", "champion", 1, by="somebody else")
        return own(self, *args, **kwargs)

    monkeypatch.setattr(Registry, "move_alias", raced)
    result = cli("rollback", "bc")
    assert result.exit_code == 4
    assert "somebody else" in result.stderr
    move = registry.alias("default/bc", "champion")
    assert move is not None
    assert move.version == 1


def test_rollback_of_a_pinned_version_changes_spec_and_says_so(cli: Cli, api: Cluster, registry: Registry) -> None:
    versions(registry, 3)
    api.make(model_deployment(status={"history": [revision(registry, 2)]}, model={"name": "bc", "version": 3}))
    result = cli("rollback", "bc")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "spec.model.version of ModelDeployment bc is 2 now (was 3)\n"
    assert "Argo CD" in result.stderr
    found = api.peek("ModelDeployment", "default", "bc")
    assert found is not None
    assert found["spec"] == {"model": {"name": "bc", "version": 2}, "replicas": 2}
    assert "nothing to do" in cli("rollback", "bc", "--to", "2").stdout
    assert cli("rollback", "bc", "--to", "9").exit_code == 3
    assert cli("rollback", "bc", "--to", "9", SLIPWAY_REGISTRY="").exit_code == 0


def test_rollback_of_a_resource_that_was_made_anew_goes_by_the_registry(cli: Cli, api: Cluster, registry: Registry) -> None:
    versions(registry, 3)
    for number in (1, 2, 3):
        registry.record_rollout(served(number))
    api.make(model_deployment(model={"name": "bc", "version": 3}))
    result = cli("rollback", "bc")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "spec.model.version of ModelDeployment bc is 2 now (was 3)\n"


def test_rollback_of_an_alias_passes_over_what_was_given_up_also_when_only_the_registry_knows(
    cli: Cli, api: Cluster, registry: Registry
) -> None:
    """1 served, 2 was taken back after its promotion, 3 serves; the alias was at 2 before."""
    versions(registry, 3)
    for number in (1, 2, 3):
        registry.record_rollout(served(number))
    registry.record_rollout(served(2, outcome="Held", reason="GateFailed", at=datetime(2026, 11, 3, 12, 2, 30, tzinfo=UTC)))
    api.make(model_deployment())
    assert "is version 1 now (was version 3)" in cli("rollback", "bc").stdout
    assert "nothing to do" in cli("rollback", "bc", "--to", "1").stdout
    assert "is version 2 now" in cli("rollback", "bc", "--to", "2").stdout, "whoever names it may have it"


def test_rollback_of_what_is_held_goes_to_what_serves(cli: Cli, api: Cluster, registry: Registry) -> None:
    versions(registry, 4)
    status = {
        "stable": revision(registry, 3),
        "history": [revision(registry, 2) | {"reason": "GateFailed"}, revision(registry, 1)],
    }
    api.make(model_deployment(status=status))
    assert "is version 3 now (was version 4)" in cli("rollback", "bc").stdout
    assert "is version 1 now (was version 3)" in cli("rollback", "bc").stdout


def test_rollback_does_not_take_versions_of_the_model_before_for_ones_of_this(cli: Cli, api: Cluster, registry: Registry) -> None:
    versions(registry, 3)
    other = {"revision": "r0", "version": 1, "digest": "sha256:" + "e" * 64}
    registry.record_rollout(served(1, model="default/other"))
    api.make(model_deployment(status={"stable": revision(registry, 3), "history": [other]}, model={"name": "bc", "version": 3}))
    result = cli("rollback", "bc")
    assert result.exit_code == 1
    assert "has served no other version" in result.stderr


def revision(registry: Registry, number: int) -> dict[str, Any]:
    """Version `number` as status has it."""
    return {"revision": f"r{number}", "version": number, "digest": registry.get("default/bc", number).digest}


def served(number: int, **more: Any) -> RolloutRecord:
    """Version `number` took over at noon and as many minutes."""
    return RolloutRecord(
        **{"namespace": "default", "name": "bc", "outcome": "Served", "model": "default/bc", "version": number}
        | {"digest": "sha256:" + "d" * 64, "revision": f"r{number}", "at": datetime(2026, 11, 3, 12, number, tzinfo=UTC)}
        | more
    )


def test_history_of_a_rollout_is_there_without_the_resource(cli: Cli, api: Cluster, registry: Registry) -> None:
    assert cli("rollout", "history", "bc").exit_code == 3
    registry.record_rollout(served(1))
    registry.record_rollout(served(2, outcome="Held", reason="GateFailed", message="error rate 0.5 > 0.05"))
    result = cli("rollout", "history", "bc")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert "held" in lines[1]
    assert "GateFailed: error rate 0.5 > 0.05" in lines[1]
    assert "served" in lines[2]
    since = "2026-11-03T12:01:00Z"
    stable = {"revision": "r1", "version": 1, "digest": "sha256:" + "d" * 64, "since": since}
    before = {**stable, "revision": "r0", "since": "2026-11-03T11:00:00Z"}
    api.make(model_deployment(status={"stable": stable, "history": [before]}))
    found = json.loads(cli("rollout", "history", "bc", "-o", "json").stdout)
    assert [(entry["outcome"], entry["revision"]) for entry in found] == [("Held", "r2"), ("Served", "r1"), ("Served", "r0")]
    assert found[1]["at"] == since
    assert json.loads(cli("rollout", "history", "bc", "-o", "json", SLIPWAY_REGISTRY="").stdout)[0]["revision"] == "r1"


def test_rollback_of_a_deployment_that_follows_latest_says_what_to_do(cli: Cli, api: Cluster) -> None:
    api.make(model_deployment(model={"name": "bc", "alias": "latest"}))
    result = cli("rollback", "bc")
    assert result.exit_code == 1
    assert "set spec.model.version" in result.stderr


def test_rollback_of_an_unknown_alias_or_model_is_not_found(cli: Cli, api: Cluster, registry: Registry) -> None:
    api.make(model_deployment())
    assert cli("rollback", "bc").exit_code == 3
    register(registry)
    result = cli("rollback", "bc")
    assert result.exit_code == 3
    assert "no alias champion" in result.stderr


def test_what_the_server_refuses_is_told_in_its_words(cli: Cli, api: Cluster, registry: Registry) -> None:
    api.make(model_build())

    def forbid(call: Call) -> None:
        if call.verb == "apply":
            raise Rejected(f'{call}: modelbuilds "bc" is forbidden: User "ann" cannot patch', code=403)

    api.before = forbid
    result = cli("build", "bc")
    assert result.exit_code == 1
    assert 'User "ann" cannot patch' in result.stderr
